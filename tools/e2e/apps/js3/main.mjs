// The kitchen-sink app on version 3 of the JavaScript SDK.
import { Inngest, NonRetriableError, RetryAfterError, referenceFunction } from "inngest";
import { serve } from "inngest/node";

import { start } from "../js/app.mjs";

const inngest = new Inngest({ id: "kitchen-sink" });

start({
  inngest,
  serve,
  NonRetriableError,
  RetryAfterError,
  referenceFunction,
  createFunction: (options, triggers, handler) => inngest.createFunction(options, triggers, handler),
  race: (_, branches) => branches(), // every branch goes on by itself
});
