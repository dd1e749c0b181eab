// Functions that are cancelled, or fail, and functions that hear of it.
import { book, gates } from "./book.mjs";

const on = (...names) => names.map((event) => ({ event }));

export function endings({ define, appId }) {
  const stop = { event: "e2e/stop", match: "data.key" };
  const sleeping = (id, cancelOn) =>
    define({ id, cancelOn: [cancelOn] }, on(`e2e/${id}`), async ({ step, ran }) => {
      await step.sleep("nap", "1h");
      return step.run("after", () => ran("after", {}));
    });
  const working = (id, nap, cancelOn) =>
    define({ id, cancelOn: [cancelOn] }, on(`e2e/${id}`), async ({ event, step, ran }) => {
      if (nap) {
        await step.sleep("nap", nap);
      }
      await step.run("held", async () => {
        ran("held");
        await gates.pass(event.data.gate);
      });
      return step.run("after", () => ran("after", { done: true }));
    });
  const ofHeard = `event.data.function_id == "${appId}-heard"`;
  return [
    sleeping("cancel-asleep", stop),

    sleeping("cancel-if", { event: "e2e/stop", if: "event.data.key == async.data.key && async.data.hard == true" }),

    working("cancel-at-work", null, stop),

    // It can be cancelled for a second, of which it sleeps longer.
    working("cancel-too-late", "2s", { ...stop, timeout: "1s" }),

    define(
      {
        id: "failing-handled",
        retries: 0,
        onFailure: ({ event, error, step }) =>
          step.run("handle", () => {
            const { run_id: run, function_id: failed, event: first } = event.data;
            book.add(run, `handled ${failed} of ${first.name} with ${first.data.n}: ${error.message}`, 0);
          }),
      },
      on("e2e/failing-handled"),
      () => {
        throw new Error("out of luck");
      },
    ),

    define({ id: "heard", retries: 0 }, on("e2e/heard"), async ({ event, step }) => {
      if (event.data.fail) {
        throw new Error("out of luck");
      }
      if (event.data.sleep) {
        await step.sleep("nap", event.data.sleep);
      }
      return { n: event.data.n };
    }),

    define(
      { id: "listener" },
      ["finished", "failed", "cancelled"].map((end) => ({ event: `inngest/function.${end}`, if: ofHeard })),
      ({ event }) => {
        const { run_id: run, function_id: of, event: first, result, error, _inngest } = event.data;
        const came = { Completed: () => `n=${result.n}`, Failed: () => error.message, Cancelled: () => "" };
        book.add(run, `${event.name} of ${of}, from ${first.name}, ${_inngest.status}: ${came[_inngest.status]()}`, 0);
      },
    ),
  ];
}
