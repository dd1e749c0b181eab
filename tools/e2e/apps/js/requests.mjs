// Functions whose requests the server makes.

const on = (event) => [{ event }];

// What the provider of the test wants to see.
const apiKey = "sk-kitchen-sink";

export function requests({ define }) {
  return [
    define({ id: "fetch" }, on("e2e/fetch"), async ({ event, step }) => {
      const response = await step.fetch(`${event.data.url}/salt`, {
        method: "POST",
        headers: { "X-Kitchen": "sink" },
        body: "a pinch",
      });
      return { status: response.status, taste: response.headers.get("X-Taste"), body: await response.text() };
    }),

    define({ id: "fetch-caught", retries: 1 }, on("e2e/fetch-caught"), async ({ event, step, ran }) => {
      try {
        await step.fetch(event.data.url);
      } catch (error) {
        return step.run("apologise", () => ran("apologise", { sorry: error.message }));
      }
    }),

    define({ id: "fetch-many" }, on("e2e/fetch-many"), async ({ event, step, ran }) => {
      const fetched = async (path) => {
        const response = await step.fetch(`${event.data.url}/${path}`);
        return response.text();
      };
      const parts = await Promise.all([fetched("a"), fetched("b"), step.run("own", () => ran("own", "own")), fetched("c")]);
      return { parts };
    }),

    define({ id: "infer" }, on("e2e/infer"), async ({ event, step }) => {
      const answer = await step.ai.infer("ask", {
        model: step.ai.models.openai({ model: "chef", apiKey, baseUrl: `${event.data.url}/v1/` }),
        body: { messages: [{ role: "user", content: "more salt?" }] },
      });
      return { said: answer.choices[0].message.content };
    }),

    define({ id: "wrap" }, on("e2e/wrap"), async ({ step, ran }) => {
      const ask = async ({ question }) => ran("ask", { answer: question.length });
      const said = await step.ai.wrap("ask", ask, { question: "more salt?" });
      return step.run("after", () => ran("after", said));
    }),
  ];
}
