// Functions that wait for signals, and that send them.

const on = (event) => [{ event }];

export function signals({ define }) {
  return [
    define({ id: "signal-wait" }, on("e2e/signal-wait"), async ({ event, step, ran }) => {
      const { signal, timeout, onConflict } = event.data;
      const got = await step.waitForSignal("wait", { signal, timeout, onConflict });
      return step.run("after", () => ran("after", { got }));
    }),

    define({ id: "signal-send" }, on("e2e/signal-send"), async ({ event, step, ran }) => {
      await step.sendSignal("send", { signal: event.data.signal, data: { n: 7 } });
      return step.run("after", () => ran("after", { sent: true }));
    }),
  ];
}
