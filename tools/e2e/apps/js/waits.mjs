// Functions that wait for events.

const on = (event) => [{ event }];

// What came of a wait, as the tests want to see it.
const told = (event) => event && { name: event.name, data: event.data };

export function waits({ define }) {
  const wait = (id, options) =>
    define({ id }, on(`e2e/${id}`), async ({ step, ran }) => {
      const got = await step.waitForEvent("wait", options);
      return step.run("after", () => ran("after", { got: told(got) }));
    });
  return [
    wait("wait-match", { event: "e2e/paid", match: "data.key", timeout: "1h" }),

    wait("wait-if", {
      event: "e2e/paid",
      if: "event.data.key == async.data.key && async.data.amount >= 100",
      timeout: "1h",
    }),

    wait("wait-timeout", { event: "e2e/paid", match: "data.key", timeout: "1s" }),

    define({ id: "wait-sent" }, on("e2e/wait-sent"), async ({ event, step }) => {
      const { key } = event.data;
      await step.sendEvent("send", { name: "e2e/paid", data: { key, amount: 7 } });
      return { got: told(await step.waitForEvent("wait", { event: "e2e/paid", match: "data.key", timeout: "1h" })) };
    }),

    define({ id: "wait-loop" }, on("e2e/wait-loop"), async ({ event, step, ran }) => {
      const amounts = [];
      for (let i = 0; i < event.data.times; i++) {
        const got = await step.waitForEvent("wait", { event: "e2e/paid", match: "data.key", timeout: "1h" });
        amounts.push(await step.run("note", () => ran("note", got.data.amount)));
      }
      return { amounts };
    }),

    define({ id: "wait-all" }, on("e2e/wait-all"), async ({ step, ran }) => {
      const wait = (name, timeout) => step.waitForEvent(name, { event: `e2e/${name}`, match: "data.key", timeout });
      const [left, own, right, never] = await Promise.all([
        wait("left", "1h"),
        step.run("own", () => ran("own", "own")),
        wait("right", "1h"),
        wait("never", "1s"),
      ]);
      return { left: told(left), own, right: told(right), never: told(never) };
    }),
  ];
}
