/** OpenAI, and everything that speaks its API (vLLM, llama.cpp, LiteLLM, a gateway of your own). */
import { Failure } from "@tyto/contracts";
import { z } from "zod";
import type { FinishReason, MakeProvider, Usage } from "../provider.ts";
import { answerJson, ask, cutOff, parseJson, readAnswer, serverSentData } from "../upstream.ts";

const WireUsage = z.object({ prompt_tokens: z.number(), completion_tokens: z.number().default(0) });
const finishes: Record<string, FinishReason> = { length: "length", content_filter: "content_filter" };
const finish = (text: string | null | undefined): FinishReason => finishes[text ?? ""] ?? "stop";
const usage = (wire: z.infer<typeof WireUsage> | null | undefined): Usage => ({
  promptTokens: wire?.prompt_tokens ?? 0,
  completionTokens: wire?.completion_tokens ?? 0,
});

const Answer = z.object({
  model: z.string(),
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullable() }),
        finish_reason: z.string().nullable(),
      }),
    )
    .min(1),
  usage: WireUsage.nullish(),
});
const Piece = z.object({
  choices: z.array(
    z.object({ delta: z.object({ content: z.string().nullish() }), finish_reason: z.string().nullish() }),
  ),
  usage: WireUsage.nullish(),
});
const Vectors = z.object({
  model: z.string(),
  data: z.array(z.object({ embedding: z.array(z.number()), index: z.number() })),
  usage: WireUsage.nullish(),
});
const Models = z.object({ data: z.array(z.object({ id: z.string() })) });

export const openAi: MakeProvider = ({ baseUrl = "https://api.openai.com/v1", apiKey }) => {
  const base = baseUrl.replace(/\/+$/, "");
  const headers = {
    "content-type": "application/json",
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  const post = (path: string, body: unknown, signal: AbortSignal) =>
    ask(`${base}${path}`, { method: "POST", headers, body: JSON.stringify(body), signal });

  return {
    async chat(request, signal) {
      const answer = readAnswer(
        Answer,
        await answerJson(await post("/chat/completions", { ...request, stream: false }, signal)),
      );
      const [choice] = answer.choices;
      return {
        model: answer.model,
        text: choice?.message.content ?? "",
        finish: finish(choice?.finish_reason),
        usage: usage(answer.usage),
      };
    },
    async *stream(request, signal) {
      const body = { ...request, stream: true, stream_options: { include_usage: true } };
      const answer = await post("/chat/completions", body, signal);
      if (answer.body === null) throw new Failure("upstream.down", "the provider sent no body");
      let ended: FinishReason | undefined;
      let spent: Usage | undefined;
      for await (const data of serverSentData(answer.body)) {
        if (data === "[DONE]") break;
        const piece = readAnswer(Piece, parseJson(data));
        const [choice] = piece.choices;
        if (piece.usage) spent = usage(piece.usage);
        if (choice?.finish_reason) ended = finish(choice.finish_reason);
        if (choice?.delta.content) yield { text: choice.delta.content };
      }
      if (ended === undefined) throw cutOff();
      yield { text: "", finish: ended, ...(spent === undefined ? {} : { usage: spent }) };
    },
    async embed(request, signal) {
      const answer = readAnswer(Vectors, await answerJson(await post("/embeddings", request, signal)));
      const vectors = answer.data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
      return { model: answer.model, vectors, promptTokens: usage(answer.usage).promptTokens };
    },
    async models(signal) {
      return readAnswer(Models, await answerJson(await ask(`${base}/models`, { headers, signal }))).data.map(
        ({ id }) => id,
      );
    },
  };
};
