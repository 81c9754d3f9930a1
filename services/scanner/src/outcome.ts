/** What clamd made of a message. `failed` says nothing about the message: clamd did not get to it. */
export type Outcome =
  | { kind: "clean" }
  | { kind: "infected"; signature: string }
  /** More bytes than clamd's StreamMaxLength: trying again cannot help. */
  | { kind: "too-large" }
  | { kind: "failed"; why: string };

const whyCharsMax = 200;

/**
 * Reads clamd's answer to INSTREAM. Only the exact words of a clean scan count as clean, so that an empty or cut
 * answer is neither clean nor a virus.
 */
export function outcomeOf(reply: string): Outcome {
  const text = reply.replace(/[\0\r\n]+$/, "");
  if (text === "stream: OK") return { kind: "clean" };
  const signature = /^stream: (\P{Cc}{1,200}) FOUND$/u.exec(text)?.[1];
  if (signature !== undefined) return { kind: "infected", signature };
  if (/^INSTREAM size limit exceeded\b/.test(text)) return { kind: "too-large" };
  return {
    kind: "failed",
    why: text === "" ? "clamd hung up without an answer" : `clamd said: ${clip(text)}`,
  };
}

const clip = (text: string) => text.replace(/\p{Cc}+/gu, " ").slice(0, whyCharsMax);

/** The same for what clamdjs throws: connection errors, and clamd's words when it spoke before it had everything. */
export function outcomeOfError(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  const said = /^Scan aborted\. Reply from server: (.*)$/s.exec(message)?.[1];
  const early = said === undefined ? undefined : outcomeOf(said);
  // Clean or infected before the last byte is an answer to something else.
  if (early?.kind === "too-large" || early?.kind === "failed") return early;
  const code = error instanceof Error && "code" in error ? `${String(error.code)}: ` : "";
  return { kind: "failed", why: clip(`${code}${message}`) };
}
