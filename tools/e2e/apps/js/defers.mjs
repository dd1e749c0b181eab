// Functions that defer others until they have ended. Only SDKs with createDefer have them.
import { book } from "./book.mjs";

const on = (...names) => names.map((event) => ({ event }));

export function defers({ define, createDefer, appId }) {
  if (!createDefer) {
    return [];
  }
  // It tells the run that deferred it what it was started with.
  const later = createDefer({ id: "later", retries: 0 }, ({ event, parents }) => {
    for (const { fnSlug, runId } of parents) {
      book.add(runId, `${event.data.what} after ${fnSlug.replace(`${appId}-`, "")}`, 0);
    }
  });
  return [
    later,

    define({ id: "defer" }, on("e2e/defer"), async ({ event, step, defer, ran }) => {
      defer("receipt", { function: later, data: { what: "receipt" } });
      const letter = defer("letter", { function: later, data: { what: "letter" } });
      await step.run("a", () => ran("a"));
      defer("receipt", { function: later, data: { what: "another receipt" } });
      await step.sleep("nap", event.data.nap ?? "1s"); // ends the call
      letter.abort();
      await step.run("b", () => ran("b"));
      defer("last", { function: later, data: { what: "last" } });
      return { done: true };
    }),

    define({ id: "defer-failing", retries: 0 }, on("e2e/defer-failing"), async ({ step, defer, ran }) => {
      defer("excuse", { function: later, data: { what: "excuse" } });
      await step.run("a", () => ran("a"));
      throw new Error("out of luck");
    }),

    define({ id: "defer-many" }, on("e2e/defer-many"), ({ event, defer }) => {
      for (let i = 1; i <= event.data.count; i++) {
        defer(`d${i}`, { function: later, data: { what: `number ${i}` } });
      }
      return {};
    }),
  ];
}
