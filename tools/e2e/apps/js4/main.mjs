// The kitchen-sink app on version 4 of the JavaScript SDK. CHECKPOINTING=off switches off what is on by default.
import { Inngest, NonRetriableError, RetryAfterError, referenceFunction } from "inngest";
import { serve } from "inngest/node";

import { start } from "../js/app.mjs";

const options = process.env.CHECKPOINTING === "off" ? { checkpointing: false } : {};
const inngest = new Inngest({ id: "kitchen-sink", ...options });

start({
  inngest,
  serve,
  NonRetriableError,
  RetryAfterError,
  referenceFunction,
  createFunction: (options, triggers, handler) => inngest.createFunction({ ...options, triggers }, handler),
  race: (group, branches) => group.parallel({ mode: "race" }, branches),
});
