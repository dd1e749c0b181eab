// The kitchen-sink app on version 4 of the JavaScript SDK. CHECKPOINTING=off switches off what is on by default.
import { Inngest, NonRetriableError, RetryAfterError, referenceFunction, step } from "inngest";
import { createDefer } from "inngest/experimental";
import { endpointAdapter, serve, serveEndpoint } from "inngest/node";

import { start } from "../js/app.mjs";
import { endpoints } from "../js/endpoints.mjs";

const options = process.env.CHECKPOINTING === "off" ? { checkpointing: false } : {};
const inngest = new Inngest({ id: "kitchen-sink", endpointAdapter, ...options });
const served = Object.entries(endpoints({ step })).map(([path, handler]) => [path, serveEndpoint(inngest.endpoint(handler))]);

start({
  inngest,
  serve,
  endpoints: Object.fromEntries(served),
  NonRetriableError,
  RetryAfterError,
  referenceFunction,
  createDefer: (options, handler) => createDefer(inngest, options, handler),
  createFunction: (options, triggers, handler) => inngest.createFunction({ ...options, triggers }, handler),
  race: (group, branches) => group.parallel({ mode: "race" }, branches),
});
