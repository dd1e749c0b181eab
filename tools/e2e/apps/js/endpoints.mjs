// The durable endpoints of the kitchen-sink app. Their bodies are noted under the key that the request names.
import { book } from "./book.mjs";

/** endpoints are handlers of Web requests, by path. */
export function endpoints({ step }) {
  const endpoint = (handler) => (request) => {
    const query = new URL(request.url).searchParams;
    const ran = (body, value) => {
      book.add(query.get("key"), body, 0);
      return value;
    };
    return handler({ query, ran });
  };
  return {
    "/endpoint/steps": endpoint(async ({ ran }) => {
      const a = await step.run("a", () => ran("a", 1));
      const b = await step.run("b", () => ran("b", a + 1));
      return { a, b };
    }),

    "/endpoint/sleep": endpoint(async ({ query, ran }) => {
      const a = await step.run("a", () => ran("a", 1));
      await step.sleep("nap", Number(query.get("milliseconds")));
      const b = await step.run("b", () => ran("b", a + 1));
      return { a, b };
    }),

    "/endpoint/parallel": endpoint(async ({ ran }) => {
      const [a, b] = await Promise.all([step.run("a", () => ran("a", 1)), step.run("b", () => ran("b", 2))]);
      return { a, b };
    }),

    "/endpoint/flaky": endpoint(async ({ query, ran }) => {
      const a = await step.run("a", () => {
        ran("a");
        if (book.of(query.get("key")).length < 2) {
          throw new Error("flaky");
        }
        return 1;
      });
      return { a };
    }),
  };
}
