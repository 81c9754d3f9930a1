/** Anthropic's Messages API. It has no embeddings, and its system prompt stands outside the list of messages. */
import { type ChatRequest, Failure } from "@tyto/contracts";
import { z } from "zod";
import type { FinishReason, MakeProvider } from "../provider.ts";
import { answerJson, ask, cutOff, parseJson, readAnswer, serverSentData } from "../upstream.ts";

const apiVersion = "2023-06-01";
/** The API demands a bound; this is what applies when the caller gives none. */
const answerTokensDefault = 4_096;

const finish = (reason: string | null | undefined): FinishReason =>
  reason === "max_tokens" ? "length" : reason === "refusal" ? "content_filter" : "stop";

const Usage = z.object({ input_tokens: z.number().default(0), output_tokens: z.number().default(0) });
const Answer = z.object({
  model: z.string(),
  content: z.array(z.object({ type: z.string(), text: z.string().optional() })),
  stop_reason: z.string().nullable(),
  usage: Usage,
});
const StreamEvent = z.object({
  type: z.string(),
  message: z.object({ usage: Usage }).optional(),
  delta: z.object({ text: z.string().optional(), stop_reason: z.string().nullish() }).optional(),
  usage: Usage.partial().optional(),
  error: z.object({ message: z.string() }).optional(),
});
const Models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The request in Anthropic's words. Throws Failure `request.invalid` for what it cannot do. */
function toMessages(request: ChatRequest & { model: string }) {
  if (request.seed !== undefined || request.response_format?.type === "json_object")
    throw new Failure("request.invalid", "unsupported by anthropic", {
      hint: "seed and response_format json_object are not available with this provider",
    });
  const isSystem = (role: string) => role === "system" || role === "developer";
  const system = request.messages.filter(({ role }) => isSystem(role)).map(({ content }) => content);
  return {
    model: request.model,
    max_tokens: request.max_completion_tokens ?? request.max_tokens ?? answerTokensDefault,
    messages: request.messages.filter(({ role }) => !isSystem(role)),
    ...(system.length === 0 ? {} : { system: system.join("\n\n") }),
    ...(request.temperature === undefined ? {} : { temperature: Math.min(1, request.temperature) }),
    ...(request.top_p === undefined ? {} : { top_p: request.top_p }),
    ...(request.stop === undefined ? {} : { stop_sequences: request.stop }),
  };
}

export const anthropic: MakeProvider = ({ baseUrl = "https://api.anthropic.com/v1", apiKey = "" }) => {
  const base = baseUrl.replace(/\/+$/, "");
  const headers = {
    "content-type": "application/json",
    "x-api-key": apiKey,
    "anthropic-version": apiVersion,
  };
  const post = (body: unknown, signal: AbortSignal) =>
    ask(`${base}/messages`, { method: "POST", headers, body: JSON.stringify(body), signal });

  return {
    async chat(request, signal) {
      const answer = readAnswer(Answer, await answerJson(await post(toMessages(request), signal)));
      return {
        model: answer.model,
        text: answer.content.map((part) => part.text ?? "").join(""),
        finish: finish(answer.stop_reason),
        usage: { promptTokens: answer.usage.input_tokens, completionTokens: answer.usage.output_tokens },
      };
    },
    async *stream(request, signal) {
      const answer = await post({ ...toMessages(request), stream: true }, signal);
      if (answer.body === null) throw new Failure("upstream.down", "the provider sent no body");
      const usage = { promptTokens: 0, completionTokens: 0 };
      let ended: FinishReason | undefined;
      for await (const data of serverSentData(answer.body)) {
        const event = readAnswer(StreamEvent, parseJson(data));
        if (event.error !== undefined) throw new Failure("upstream.down", event.error.message);
        if (event.message !== undefined) usage.promptTokens = event.message.usage.input_tokens;
        if (event.usage?.output_tokens !== undefined) usage.completionTokens = event.usage.output_tokens;
        if (event.delta?.stop_reason) ended = finish(event.delta.stop_reason);
        if (event.delta?.text) yield { text: event.delta.text };
      }
      if (ended === undefined) throw cutOff();
      yield { text: "", finish: ended, usage };
    },
    async models(signal) {
      return readAnswer(Models, await answerJson(await ask(`${base}/models`, { headers, signal }))).data.map(
        ({ id }) => id,
      );
    },
  };
};
