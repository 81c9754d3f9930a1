/** Mail into an installation by its HTTP API, as a client with several connections sends it. */
import type { Installation } from "@tyto/test/parts/installation.ts";

export type ApiLoad = {
  messages: number;
  /** Requests at a time. */
  sessions: number;
  /** Messages in each request; above 1 by /v1/emails/batch. */
  batch: number;
  mailOf(index: number): Record<string, unknown>;
  /** Messages offered per second; without it as fast as they are taken. */
  perS?: number | undefined;
  /** Hears how many more were accepted. */
  onAccepted?: (count: number) => void;
};

/** How often a request that there was no room for is sent at most. */
const triesMax = 120;

/** Resolves when all are accepted, with the time of each request. Throws when one message is not. */
export async function sendByApi(
  { apiUrl, apiKey }: Pick<Installation, "apiUrl" | "apiKey">,
  { messages, sessions, batch, mailOf, perS, onAccepted }: ApiLoad,
): Promise<{ seconds: number; acceptMs: number[] }> {
  const startedAt = performance.now();
  const acceptMs: number[] = [];
  let next = 0;
  const session = async () => {
    for (let index = next; index < messages; index = next) {
      next += batch;
      if (perS !== undefined) {
        const earlyMs = startedAt + (index / perS) * 1_000 - performance.now();
        if (earlyMs > 0) await Bun.sleep(earlyMs);
      }
      const count = Math.min(batch, messages - index);
      const mails = Array.from({ length: count }, (_, at) => mailOf(index + at));
      const sentAt = performance.now();
      const text = await post(
        `${apiUrl}/v1/emails${batch > 1 ? "/batch" : ""}`,
        apiKey,
        JSON.stringify(batch > 1 ? mails : mails[0]),
      );
      if (batch > 1 && !/"failed":0\b/.test(text)) throw new Error(`some were not accepted: ${text}`);
      acceptMs.push(performance.now() - sentAt);
      onAccepted?.(count);
    }
  };
  await Promise.all(Array.from({ length: sessions }, session));
  return { seconds: (performance.now() - startedAt) / 1_000, acceptMs };
}

/** Comes again when the gateway says that it has no room now, as clients do. Gives the body of a 202. */
async function post(url: string, apiKey: string, body: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, body });
    const text = await answer.text();
    if (answer.status === 202) return text;
    const againAfterS = Number(answer.headers.get("retry-after"));
    if (answer.status !== 503 || !(againAfterS > 0) || tries === triesMax)
      throw new Error(`accept answered ${answer.status}: ${text}`);
    await Bun.sleep(againAfterS * 1_000);
  }
}

/** Lines of plain text, `bytes` long in all. */
export const textOf = (bytes: number): string =>
  "x"
    .repeat(72)
    .concat("\r\n")
    .repeat(Math.ceil(bytes / 74))
    .slice(0, bytes);
