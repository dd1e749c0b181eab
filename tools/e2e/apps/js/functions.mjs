// The functions of the kitchen-sink app. They are the same, by name and behaviour, in every SDK: see ../README.md.
// ran(body, value) notes that a body ran and returns the value; gates.pass(gate) waits until the test opens the gate.
import { createHash } from "node:crypto";

import { book, gates } from "./book.mjs";
import { defers } from "./defers.mjs";
import { endings } from "./endings.mjs";
import { invocations } from "./invocations.mjs";
import { requests } from "./requests.mjs";
import { signals } from "./signals.mjs";
import { limits } from "./limits.mjs";
import { waits } from "./waits.mjs";

const on = (...names) => names.map((event) => ({ event }));

export function functions(sdk) {
  const parts = [sequences, errors, times, parallels, triggers, requests, limits, waits, signals, invocations, endings, defers];
  return parts.flatMap((part) => part(sdk));
}

function sequences({ define }) {
  return [
    define({ id: "hello" }, on("e2e/hello"), ({ event }) => ({ greeting: `Hello ${event.data.name}` })),

    define({ id: "nothing" }, on("e2e/nothing"), async ({ step, ran }) => {
      await step.run("a", () => ran("a"));
    }),

    define({ id: "sequence" }, on("e2e/sequence"), async ({ step, ran }) => {
      const a = await step.run("a", () => ran("a", 1));
      const b = await step.run("b", () => ran("b", a + 1));
      const c = await step.run("c", () => ran("c", b + 1));
      return { a, b, c };
    }),

    define({ id: "slow" }, on("e2e/slow"), async ({ step, ran }) => {
      const a = await step.run("a", async () => {
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return ran("a", 1);
      });
      return { a, b: 2, c: 3 };
    }),

    define({ id: "loop" }, on("e2e/loop"), async ({ step, ran }) => {
      const squares = [];
      for (let i = 0; i < 5; i++) {
        squares.push(await step.run("square", () => ran("square", i * i)));
      }
      return { squares };
    }),

    define({ id: "repeated" }, on("e2e/repeated"), async ({ step, ran }) => {
      const same = (n) => step.run("same", () => ran("same", n));
      const numbers = [await same(1)];
      await step.sleep("same", "1s");
      numbers.push(await same(2), ...(await Promise.all([same(3), same(4)])));
      return { numbers };
    }),

    define({ id: "long" }, on("e2e/long"), async ({ step, ran }) => {
      let sum = 0;
      for (let i = 0; i < 200; i++) {
        sum += await step.run(`step-${i}`, () => ran("step", i));
      }
      return { sum };
    }),

    define({ id: "values" }, on("e2e/values"), async ({ event, step, ran }) => {
      const values = [];
      for (const [i, value] of event.data.values.entries()) {
        values.push(await step.run(`value-${i}`, () => ran("value", value)));
      }
      await step.sleep("nap", "1s"); // ends the call, so that every value comes back from the server
      return { values };
    }),

    define({ id: "large" }, on("e2e/large"), async ({ event, step, ran }) => {
      const text = await step.run("make", () => ran("make", "0123456789abcdef".repeat(event.data.bytes / 16)));
      return step.run("hash", () =>
        ran("hash", { bytes: text.length, sha256: createHash("sha256").update(text).digest("hex") }),
      );
    }),

    define({ id: "large-state" }, on("e2e/large-state"), async ({ event, step, ran }) => {
      const { steps, bytes, parallel } = event.data;
      const make = (i) => step.run(`part-${i}`, () => ran("part", String.fromCharCode(97 + i).repeat(bytes)));
      const indices = Array.from({ length: steps }, (_, i) => i);
      const parts = [];
      if (parallel) {
        parts.push(...(await Promise.all(indices.map(make))));
      } else {
        for (const i of indices) {
          parts.push(await make(i));
        }
      }
      return step.run("hash", () =>
        ran("hash", { sha256: createHash("sha256").update(parts.join("")).digest("hex") }),
      );
    }),

    define({ id: "held" }, on("e2e/held"), async ({ event, step, ran }) => {
      const first = await step.run("first", () => ran("first", 1));
      const held = await step.run("held", async () => {
        ran("held");
        await gates.pass(event.data.gate);
        return first + 1;
      });
      const last = await step.run("last", () => ran("last", held + 1));
      return { last };
    }),

    define({ id: "sender" }, on("e2e/sender"), async ({ step }) => {
      const { ids } = await step.sendEvent("send", [1, 2, 3].map((n) => ({ name: "e2e/echo", data: { n } })));
      return { ids };
    }),

    define({ id: "sender-retried", retries: 1 }, on("e2e/sender-retried"), async ({ step, attempt, ran }) => {
      const { ids } = await step.sendEvent("send", { name: "e2e/echo", data: { n: 1 } });
      ran("rest");
      if (attempt === 0) {
        throw new Error("try again");
      }
      return { ids };
    }),
  ];
}

function errors({ define, NonRetriableError, RetryAfterError }) {
  return [
    define({ id: "caught", retries: 1 }, on("e2e/caught"), async ({ step, ran }) => {
      try {
        await step.run("charge", () => {
          ran("charge");
          throw new Error("card declined");
        });
      } catch (error) {
        const answer = await step.run("apologise", () => ran("apologise", `sorry: ${error.message}`));
        return { answer };
      }
    }),

    define({ id: "uncaught", retries: 0 }, on("e2e/uncaught"), async ({ step, ran }) => {
      await step.run("charge", () => {
        ran("charge");
        throw new Error("card declined");
      });
    }),

    define({ id: "recovering", retries: 3 }, on("e2e/recovering"), async ({ step, attempt, ran }) => {
      const before = await step.run("before", () => ran("before", 1));
      const flaky = await step.run("flaky", () => {
        ran("flaky");
        if (attempt < 2) {
          throw new Error(`attempt ${attempt} fails`);
        }
        return before + 1;
      });
      const after = await step.run("after", () => ran("after", flaky + 1));
      return { after };
    }),

    define({ id: "throwing", retries: 2 }, on("e2e/throwing"), async ({ step, ran }) => {
      await step.run("before", () => ran("before"));
      ran("throw");
      throw new Error("out of luck");
    }),

    define({ id: "throwing-once" }, on("e2e/throwing-once"), async ({ step, attempt, ran }) => {
      const before = await step.run("before", () => ran("before", 1));
      ran("rest");
      if (attempt === 0) {
        throw new Error("try again");
      }
      const after = await step.run("after", () => ran("after", before + 1));
      return { after };
    }),

    define({ id: "step-retry-after" }, on("e2e/step-retry-after"), async ({ event, step, attempt, ran }) => {
      const answer = await step.run("busy", () => {
        ran("busy");
        if (attempt === 0) {
          throw new RetryAfterError("busy", event.data.milliseconds);
        }
        return "served";
      });
      return { answer };
    }),

    define({ id: "function-retry-after" }, on("e2e/function-retry-after"), ({ event, attempt }) => {
      if (attempt === 0) {
        throw new RetryAfterError("busy", event.data.milliseconds);
      }
      return { answer: "served" };
    }),

    define({ id: "step-non-retriable" }, on("e2e/step-non-retriable"), async ({ step, ran }) => {
      await step.run("charge", () => {
        ran("charge");
        throw new NonRetriableError("card stolen");
      });
    }),

    define({ id: "function-non-retriable" }, on("e2e/function-non-retriable"), () => {
      throw new NonRetriableError("card stolen");
    }),
  ];
}

function times({ define }) {
  return [
    define({ id: "sleep" }, on("e2e/sleep"), async ({ event, step, ran }) => {
      const before = await step.run("before", () => ran("before", 1));
      await step.sleep("nap", event.data.milliseconds);
      const after = await step.run("after", () => ran("after", before + 1));
      return { after };
    }),

    define({ id: "sleep-until" }, on("e2e/sleep-until"), async ({ event, step, ran }) => {
      await step.sleepUntil("nap", new Date(event.data.until));
      return step.run("after", () => ran("after", { until: event.data.until }));
    }),
  ];
}

function parallels({ define, race }) {
  return [
    define({ id: "fan-out" }, on("e2e/fan-out"), async ({ step, ran }) => {
      const numbers = Array.from({ length: 20 }, (_, i) => i);
      const parts = await Promise.all(numbers.map((i) => step.run(`part-${i}`, () => ran(`part-${i}`, i))));
      return { parts };
    }),

    define({ id: "nested" }, on("e2e/nested"), async ({ step, ran }) => {
      const branch = async (name, value) => {
        const one = await step.run(`${name}1`, () => ran(`${name}1`, value));
        const [two, three] = await Promise.all([
          step.run(`${name}2`, () => ran(`${name}2`, one + 1)),
          step.run(`${name}3`, () => ran(`${name}3`, one + 2)),
        ]);
        return one + two + three;
      };
      const [left, right] = await Promise.all([branch("left", 1), branch("right", 10)]);
      const total = await step.run("total", () => ran("total", left + right));
      const twice = await step.run("twice", () => ran("twice", total * 2));
      return { left, right, twice };
    }),

    define({ id: "partial", retries: 1 }, on("e2e/partial"), async ({ step, ran }) => {
      const good = step.run("good", () => ran("good", "good"));
      const bad = step
        .run("bad", () => {
          ran("bad");
          throw new Error("bad luck");
        })
        .catch((error) => `caught: ${error.message}`);
      const [first, second] = await Promise.all([good, bad]);
      const after = await step.run("after", () => ran("after", `${first}, ${second}`));
      return { after };
    }),

    define({ id: "race" }, on("e2e/race"), async ({ event, group, step, ran }) => {
      const winner = await race(group, () => Promise.race(runners(event, step, ran)));
      const after = await step.run("after", () => ran("after", `after ${winner}`));
      return { after };
    }),

    define({ id: "promise-race" }, on("e2e/promise-race"), async ({ event, step, ran }) => {
      const winner = await Promise.race(runners(event, step, ran));
      const after = await step.run("after", () => ran("after", `after ${winner}`));
      return { after };
    }),

    define({ id: "branches" }, on("e2e/branches"), async ({ event, group, step, ran }) => {
      const left = async () => {
        const one = await step.run("left1", () => ran("left1", 1));
        return step.run("left2", () => ran("left2", one + 1));
      };
      const right = () =>
        step.run("right", async () => {
          ran("right");
          await gates.pass(event.data.gate);
          return 10;
        });
      const [l, r] = await race(group, () => Promise.all([left(), right()]));
      return { sum: l + r };
    }),
  ];
}

// The fast one ends when the slow one has begun: otherwise it may win before the slow one is called at all.
function runners(event, step, ran) {
  const { gate } = event.data;
  return [
    step.run("fast", async () => {
      ran("fast");
      await gates.pass(`${gate}: slow began`);
      return "fast";
    }),
    step.run("slow", async () => {
      ran("slow");
      gates.open(`${gate}: slow began`);
      await gates.pass(gate);
      return "slow";
    }),
  ];
}

function triggers({ define }) {
  return [
    define({ id: "echo" }, on("e2e/echo"), ({ event }) => ({ name: event.name, id: event.id, data: event.data })),

    define({ id: "either" }, on("e2e/either.one", "e2e/either.two"), ({ event }) => ({ name: event.name })),

    define({ id: "once", idempotency: "event.data.to" }, on("e2e/once"), ({ event }) => ({ n: event.data.n })),

    define(
      { id: "limited", rateLimit: { limit: 2, period: "1h", key: "event.data.customer" } },
      on("e2e/limited"),
      ({ event }) => ({ n: event.data.n }),
    ),

    define(
      { id: "debounced", debounce: { period: "2s", key: "event.data.doc", timeout: "1h" } },
      on("e2e/debounced"),
      ({ event, events }) => ({ n: event.data.n, count: events.length }),
    ),

    define(
      { id: "batched", batchEvents: { maxSize: 3, timeout: "2s", key: "event.data.tenant" } },
      on("e2e/batched"),
      async ({ event, events, step }) => ({
        first: event.data.n,
        all: await step.run("collect", () => events.map((e) => e.data.n)),
      }),
    ),

    define({ id: "starts-late", timeouts: { start: "1s" } }, on("e2e/starts-late"), () => "done"),

    define({ id: "ends-late", timeouts: { finish: "2s" } }, on("e2e/ends-late"), async ({ step }) => {
      await step.sleep("nap", "1h");
    }),

    define({ id: "single", singleton: { key: "event.data.user" } }, on("e2e/single"), async ({ step }) => {
      await step.waitForEvent("end", { event: "e2e/single.end", timeout: "1h", match: "data.user" });
      return "done";
    }),

    define({ id: "latest", singleton: { key: "event.data.user", mode: "cancel" } }, on("e2e/latest"), async ({ step }) => {
      await step.waitForEvent("end", { event: "e2e/latest.end", timeout: "1h", match: "data.user" });
      return "done";
    }),

    ...["paused", "drained"].map((id) =>
      define({ id }, on(`e2e/${id}`), async ({ step }) => {
        await step.waitForEvent("end", { event: `e2e/${id}.end`, timeout: "1h" });
        return "done";
      }),
    ),

    define({ id: "overlapping" }, on("e2e/overlapping.one", "e2e/overlapping.*"), ({ event }) => ({ name: event.name })),

    define({ id: "wildcard" }, on("e2e.wild/*"), ({ event }) => ({ name: event.name })),

    define(
      { id: "conditional" },
      [{ event: "e2e/order", if: "event.data.amount > 100" }],
      ({ event }) => ({ amount: event.data.amount }),
    ),

    // Runs of a cron expression have no event that a test publishes: they are told under the function's name.
    define({ id: "clock" }, [{ cron: "* * * * *" }, { cron: "TZ=Europe/Paris 0 0 1 1 *" }], ({ event }) => {
      book.add("clock", `${event.name} ${event.id} ${event.data.cron}`, 0);
    }),
  ];
}
