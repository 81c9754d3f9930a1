import { loadConfig, port, processSettings, secret } from "@tyto/service";
import { z } from "zod";

const providers = ["openai", "anthropic", "ollama", "custom"] as const;

const settings = {
  ...processSettings(3106),
  LLM_HOST: z.string().default("127.0.0.1"),
  LLM_PORT: port(3200),
  LLM_TOKEN: secret(),
  LLM_PROVIDER: z.enum(providers).optional(),
  LLM_BASE_URL: z.url().optional(),
  LLM_API_KEY: z.string().min(1).optional(),
  LLM_MODEL: z.string().min(1).optional(),
  LLM_CONCURRENCY: z.coerce.number().int().min(1).max(1_000).default(32),
  LLM_ANSWER_S: z.coerce.number().int().min(1).max(1_800).default(300),
};

export type ProviderName = (typeof providers)[number];
export type Config = ReturnType<typeof readConfig>;

/** LLM_PROVIDER unset means off: every request is answered with 501 and what to set. */
export function readConfig(env: Record<string, string | undefined> = process.env) {
  const given = loadConfig("llm", settings, env);
  return {
    health: { host: given.HEALTH_HOST, port: given.HEALTH_PORT },
    logLevel: given.LOG_LEVEL,
    host: given.LLM_HOST,
    port: given.LLM_PORT,
    token: given.LLM_TOKEN,
    provider: given.LLM_PROVIDER,
    upstream: { baseUrl: given.LLM_BASE_URL, apiKey: given.LLM_API_KEY, model: given.LLM_MODEL },
    concurrencyMax: given.LLM_CONCURRENCY,
    answerMsMax: given.LLM_ANSWER_S * 1_000,
  };
}
