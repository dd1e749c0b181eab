// Functions that invoke others.
import { book, gates } from "./book.mjs";

const on = (event) => [{ event }];

export function invocations({ define, referenceFunction }) {
  const call = (step, id, { app, function: functionId, data, timeout }) =>
    step.invoke(id, { function: referenceFunction({ appId: app, functionId }), data: data ?? undefined, timeout });
  return [
    define({ id: "invoke" }, on("e2e/invoke"), async ({ event, step, ran }) => {
      const got = await call(step, "call", event.data);
      return step.run("after", () => ran("after", { got }));
    }),

    define({ id: "invoke-caught" }, on("e2e/invoke-caught"), async ({ event, step, ran }) => {
      try {
        return { got: await call(step, "call", event.data) };
      } catch (error) {
        return step.run("apologise", () => ran("apologise", { sorry: error.message }));
      }
    }),

    define({ id: "invoke-many" }, on("e2e/invoke-many"), async ({ event, step, ran }) => {
      const names = ["Ada", "Grace", "Lin"];
      const hello = (name) => call(step, name, { ...event.data, data: { name } });
      const [own, ...greetings] = await Promise.all([step.run("own", () => ran("own", "own")), ...names.map(hello)]);
      return { own, greetings: greetings.map(({ greeting }) => greeting) };
    }),

    // It tells its run under the name of the gate, so that a test finds it.
    define({ id: "child" }, [], async ({ event, step, runId, ran }) =>
      step.run("held", async () => {
        ran("held");
        book.add(event.data.gate, runId, 0);
        await gates.pass(event.data.gate);
        return { done: true };
      }),
    ),
  ];
}
