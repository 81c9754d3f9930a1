/**
 * Somebody else who delivers mail in our place: a relay by SMTP, or a service by its API. Each takes one message for one
 * recipient and tells what came of it in the same words as our own way to the mail servers (courier.ts).
 */
import type { Conversation, Reply } from "@tyto/contracts";
import type { Hold, MailOf } from "../attempt.ts";
import type { Carried } from "../courier.ts";
import type { Failed } from "../outcome.ts";
import type { Mail } from "../smtp.ts";

export const providerNames = ["smtp", "ses", "resend"] as const;
export type ProviderName = (typeof providerNames)[number];

export type CarryOptions = {
  /** How long the message waits for its turn before `wait`. */
  waitMs: number;
  hold: Hold;
  signal: AbortSignal;
};

export type Provider = {
  name: ProviderName;
  /** Header fields, in lower case, that it writes anew, so that a signature over them would not verify. */
  rewrites: readonly string[];
  /** It passes our signatures on. */
  keepsSignatures: boolean;
  /** It can be told to encrypt on its own way too, or to refuse (RFC 8689). */
  keepsPromises: boolean;
  /** `wait`: too many messages are on their way to it. What it took is held until its outcome is stored. */
  carry(mailOf: MailOf, options: CarryOptions): Promise<Carried>;
  close(): void;
};

/** What an API made of one message. */
export type Taken =
  | { kind: "accepted"; reply: Reply; conversation: Conversation }
  | (Failed & { conversation?: Conversation });

/**
 * A provider whose messages go one per request, `atOnceMax` at a time. A request under way is finished when the service
 * stops, because its answer is what keeps the message from being sent again.
 */
export function requesting(
  own: Omit<Provider, "carry" | "close">,
  deliver: (mail: Mail) => Promise<Taken>,
  atOnceMax: number,
  now: () => number = Date.now,
): Provider {
  let free = atOnceMax;
  const waiting = new Set<(turn: "turn" | "interrupted") => void>();

  function turn(waitMs: number, signal: AbortSignal): Promise<"turn" | "busy" | "interrupted"> {
    if (signal.aborted) return Promise.resolve("interrupted");
    if (free > 0) {
      free--;
      return Promise.resolve("turn");
    }
    return new Promise((resolve) => {
      const end = (result: "turn" | "busy" | "interrupted") => {
        waiting.delete(end);
        clearTimeout(late);
        signal.removeEventListener("abort", interrupt);
        resolve(result);
      };
      const interrupt = () => end("interrupted");
      const late = setTimeout(end, waitMs, "busy");
      signal.addEventListener("abort", interrupt);
      waiting.add(end);
    });
  }
  function release() {
    const [next] = waiting;
    if (next === undefined) free++;
    else next("turn");
  }

  return {
    ...own,
    async carry(mailOf, { waitMs, hold, signal }) {
      const got = await turn(waitMs, signal);
      if (got === "interrupted") return { kind: "interrupted" };
      if (got === "busy")
        return {
          kind: "wait",
          untilMs: now() + waitMs,
          why: `${own.name} has ${atOnceMax} requests of ours under way`,
        };
      let isHeld = false;
      try {
        const taken = await deliver(await mailOf());
        if (taken.kind === "accepted") {
          isHeld = true;
          hold(release);
        }
        return taken;
      } finally {
        if (!isHeld) release();
      }
    },
    close() {
      for (const end of [...waiting]) end("interrupted");
    },
  };
}
