import type { ProviderName } from "../config.ts";
import type { MakeProvider } from "../provider.ts";
import { anthropic } from "./anthropic.ts";
import { ollama } from "./ollama.ts";
import { openAi } from "./openai.ts";

/** A new provider is one file and one line here. `custom` is any server with OpenAI's API; it needs LLM_BASE_URL. */
export const providers: Record<ProviderName, MakeProvider> = {
  openai: openAi,
  anthropic,
  ollama,
  custom: openAi,
};
