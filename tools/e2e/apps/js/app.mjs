// The HTTP server of a kitchen-sink app: the SDK's endpoint, and routes by which the tests ask and steer the app.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { book, gates } from "./book.mjs";
import { functions } from "./functions.mjs";

/**
 * start serves the app.
 *
 * - inngest, serve, NonRetriableError, RetryAfterError, referenceFunction: what the SDK exports
 * - createDefer(options, handler): how the SDK is told of a function that others defer; optional
 * - createFunction(options, triggers, handler): how this version of the SDK is told of a function
 * - endpoints: handlers of Node requests to durable endpoints, by path; optional
 * - race(group, branches): how this version lets one branch go on while another still runs
 */
export function start({ inngest, serve, createFunction, endpoints = {}, ...sdk }) {
  const define = (options, triggers, handler) =>
    createFunction(options, triggers, (context) => {
      const ran = (body, value) => {
        book.add(context.runId, body, context.attempt);
        return value;
      };
      ran("function");
      return handler({ ...context, ran });
    });
  const served = functions({ ...sdk, define, appId: inngest.id }).filter((f) => f.id() !== process.env.WITHOUT);
  const inngestHandler = serve({ client: inngest, functions: served });

  const routes = {
    "GET /counts": (url) => ({ executions: book.of(url.searchParams.get("run")) }),
    "POST /open": (url) => gates.open(url.searchParams.get("gate")),
    "POST /send": async (_, body) => inngest.send(JSON.parse(body)),
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/api/inngest") {
      return inngestHandler(request, response);
    }
    if (endpoints[url.pathname]) {
      return endpoints[url.pathname](request, response);
    }
    const route = routes[`${request.method} ${url.pathname}`];
    try {
      const answer = await route(url, await text(request));
      response.setHeader("Content-Type", "application/json").end(JSON.stringify(answer ?? {}));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(process.env.PORT);
}
