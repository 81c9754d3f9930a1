/**
 * What services/llm takes and gives: the part of OpenAI's chat and embeddings API that every provider can serve.
 * Asked by anyone who holds LLM_TOKEN.
 */
import { z } from "zod";

export const llmLimits = {
  messagesMax: 500,
  requestBytesMax: 4_194_304,
  inputsMax: 256,
  answerTokensMax: 65_536,
} as const;

export const ChatMessage = z.object({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: z.union([
    z.string(),
    z
      .array(z.object({ type: z.literal("text"), text: z.string() }))
      .transform((parts) => parts.map((part) => part.text).join("")),
  ]),
});
export type ChatMessage = z.infer<typeof ChatMessage>;

/** Unknown fields are refused: a setting that is silently ignored is worse than an error. */
export const ChatRequest = z
  .object({
    /** The configured LLM_MODEL when absent. */
    model: z.string().min(1).max(200).optional(),
    messages: z.array(ChatMessage).min(1).max(llmLimits.messagesMax),
    stream: z.boolean().optional(),
    stream_options: z.object({ include_usage: z.boolean().optional() }).optional(),
    temperature: z.number().min(0).max(2).optional(),
    top_p: z.number().min(0).max(1).optional(),
    max_tokens: z.number().int().positive().max(llmLimits.answerTokensMax).optional(),
    max_completion_tokens: z.number().int().positive().max(llmLimits.answerTokensMax).optional(),
    stop: z.union([z.string().transform((one) => [one]), z.array(z.string()).max(4)]).optional(),
    seed: z.number().int().optional(),
    response_format: z.object({ type: z.enum(["text", "json_object"]) }).optional(),
    user: z.string().max(200).optional(),
  })
  .strict();
export type ChatRequest = z.infer<typeof ChatRequest>;

export const EmbeddingsRequest = z
  .object({
    model: z.string().min(1).max(200).optional(),
    input: z.union([
      z
        .string()
        .min(1)
        .transform((one) => [one]),
      z.array(z.string().min(1)).min(1).max(llmLimits.inputsMax),
    ]),
    dimensions: z.number().int().positive().max(8_192).optional(),
    encoding_format: z.literal("float").optional(),
    user: z.string().max(200).optional(),
  })
  .strict();
export type EmbeddingsRequest = z.infer<typeof EmbeddingsRequest>;
