// Functions with limits. They count themselves.

const on = (event) => [{ event }];

// inside counts who is in a body at the same time, by key.
const inside = new Map();

async function together(key, milliseconds) {
  const count = (inside.get(key) ?? 0) + 1;
  inside.set(key, count);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  inside.set(key, inside.get(key) - 1);
  return count;
}

export function limits({ define }) {
  return [
    define({ id: "concurrent", concurrency: [{ limit: 2, key: "event.data.key" }] }, on("e2e/concurrent"), async ({ event, step, ran }) => {
      const body = (name) => () => together(event.data.key, 200).then((count) => ran(name, count));
      const first = await step.run("first", body("first"));
      await step.sleep("nap", "1s");
      return { most: Math.max(first, await step.run("second", body("second"))) };
    }),

    define({ id: "two-limits", concurrency: [{ limit: 2 }, { limit: 1, key: "event.data.key" }] }, on("e2e/two-limits"), async ({ event, step }) =>
      step.run("step", async () => {
        const [all, same] = await Promise.all([together("two-limits", 200), together(`two-limits ${event.data.key}`, 200)]);
        return { all, same };
      }),
    ),

    ...["env", "account"].flatMap((scope) =>
      [`shared-${scope}-one`, `shared-${scope}-two`].map((id) =>
        define({ id, concurrency: [{ limit: 1, key: "event.data.printer", scope }] }, on(`e2e/${id}`), ({ event, step }) =>
          step.run("print", () => together(event.data.printer, 200)),
        ),
      ),
    ),

    define({ id: "prioritised", concurrency: 1, priority: { run: "event.data.priority" } }, on("e2e/prioritised"), ({ step, ran }) =>
      step.run("step", () => ran("step", "done")),
    ),

    define(
      { id: "batched-if", batchEvents: { maxSize: 2, timeout: "1h", if: "event.data.n > 0" } },
      on("e2e/batched-if"),
      ({ events }) => events.map((e) => e.data.n),
    ),

    define({ id: "paused-queue" }, on("e2e/paused-queue"), ({ step, ran }) => step.run("step", () => ran("step", "done"))),

    define({ id: "full" }, on("e2e/full"), ({ step, ran }) => step.run("step", () => ran("step", "done"))),

    define({ id: "throttled", throttle: { limit: 1, period: "3s", key: "event.data.key" } }, on("e2e/throttled"), ({ step, ran }) =>
      step.run("step", () => ran("step", "done")),
    ),
  ];
}
