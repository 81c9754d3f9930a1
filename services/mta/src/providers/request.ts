/** One request to a provider's API, and what a missing answer means. */
import type { Conversation, Reply } from "@tyto/contracts";
import type { Failed } from "../outcome.ts";
import type { ProviderName } from "./provider.ts";

export type Answer = {
  kind: "answer";
  status: number;
  header(name: string): string | null;
  /** At most `answerCharsMax` characters. */
  text: string;
  conversation: Conversation;
};

export type RequestOptions = {
  provider: ProviderName;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: string;
  timeoutMs: number;
};

const answerCharsMax = 10_000;
const textCharsMax = 500;

/** POSTs once; redirects are not followed, since they would take the credentials elsewhere. */
export async function post({
  provider,
  url,
  headers,
  body,
  timeoutMs,
}: RequestOptions): Promise<Answer | Failed> {
  const startedMs = performance.now();
  const conversation = (): Conversation => ({
    mx: url.hostname,
    ip: "",
    // Bun tells nothing of the connection but that a certificate was checked.
    tls: url.protocol === "https:" ? { version: "unknown", cipher: "unknown", authorized: true } : null,
    reused: false,
    durationMs: Math.round(performance.now() - startedMs),
    provider,
  });
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = (await response.text()).slice(0, answerCharsMax);
    return {
      kind: "answer",
      status: response.status,
      header: (name) => response.headers.get(name),
      text,
      conversation: conversation(),
    };
  } catch (error) {
    const isInDoubt = !isUnsent(error);
    const why = error instanceof Error ? error.message : String(error);
    const doubt = isInDoubt ? "; it may have taken the message" : "";
    return {
      kind: "failed",
      isPermanent: false,
      reason: "network.unreachable",
      explanation: `${provider} at ${url.host} did not answer${doubt}: ${why}`.slice(0, textCharsMax),
      isInDoubt,
      conversation: conversation(),
    };
  }
}

/** Bun's codes of errors that come before anything of the request is sent. Any other one leaves doubt. */
const unsent =
  /^(ECONNREFUSED|ConnectionRefused|FailedToOpenSocket|ENETUNREACH|EHOSTUNREACH|ENOTFOUND|EAI_\w+|DNS\w*|\w*(VERIFY|CERT|SELF_SIGNED|TLS_)\w*)$/;
const isUnsent = (error: unknown) =>
  error instanceof Error && "code" in error && typeof error.code === "string" && unsent.test(error.code);

/** The answer as the reply of an event: the HTTP status and the provider's words, without what must stay secret. */
export const replyOf = (status: number, words: string, secrets: readonly string[]): Reply => ({
  code: Math.min(Math.max(status, 200), 599),
  text: masked(words, secrets).slice(0, textCharsMax),
});

export const masked = (text: string, secrets: readonly string[]): string =>
  secrets.reduce((shown, secret) => (secret === "" ? shown : shown.replaceAll(secret, "***")), text);

/** An answer that says no, or nothing useful. */
export const refusal = (
  { conversation }: Pick<Answer, "conversation">,
  verdict: Pick<Failed, "isPermanent" | "reason"> & Partial<Pick<Failed, "isInDoubt">>,
  reply: Reply,
): Failed => ({
  kind: "failed",
  isInDoubt: false,
  ...verdict,
  explanation: `${conversation.provider ?? conversation.mx} answered ${reply.code}: ${reply.text}`.slice(
    0,
    textCharsMax,
  ),
  reply,
  conversation,
});

/** JSON that a provider sent; anything else is an empty object. */
export function asObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A proxy's page of HTML, for one; the status says enough.
    return {};
  }
}

/** `; try again in 30 seconds`, in words that schedule.ts understands. */
export function retryHint(retryAfter: string | null): string {
  const seconds = retryAfter !== null && /^\d{1,6}$/.test(retryAfter.trim()) ? Number(retryAfter) : undefined;
  return seconds === undefined ? "" : `; try again in ${Math.max(1, seconds)} seconds`;
}
