/** Which parts of a running installation can be used now, why the others cannot, what that means, and what to do. */
import { isClamdReady, isConvexReady, isNatsReady, isServiceReady } from "./readiness.ts";
import type { PortName, Ports } from "./settings.ts";

export type Condition = {
  part: string;
  /** Absent when it is ready. `mend` is a sentence. */
  problem?: { why: string; harm: string; mend: string };
};

const parts = [
  { part: "nats", port: "NATS_PORT", ask: isNatsReady, harm: "nothing is taken and nothing is sent" },
  { part: "convex", port: "CONVEX_PORT", ask: isConvexReady, harm: "mail goes on; sign-in and lists do not" },
  { part: "clamd", port: "CLAMAV_PORT", ask: isClamdReady, harm: "mail with attachments waits" },
  { part: "gateway", port: "GATEWAY_HEALTH_PORT", ask: isServiceReady, harm: "no mail is taken" },
  { part: "scanner", port: "SCANNER_HEALTH_PORT", ask: isServiceReady, harm: "mail with attachments waits" },
  { part: "mta", port: "MTA_HEALTH_PORT", ask: isServiceReady, harm: "mail that was taken waits" },
  {
    part: "bounce",
    port: "BOUNCE_HEALTH_PORT",
    ask: isServiceReady,
    harm: "mail to us, bounces and replies wait with those who send it",
  },
  {
    part: "recorder",
    port: "RECORDER_HEALTH_PORT",
    ask: isServiceReady,
    harm: "mail goes on; what happens to it waits on disk and is not shown",
  },
  {
    part: "llm",
    port: "LLM_HEALTH_PORT",
    ask: isServiceReady,
    harm: "programs that ask a language model get no answer",
  },
] as const satisfies readonly { part: string; port: PortName; ask: unknown; harm: string }[];

/** Asks each part that has a port, all at once; one that does not answer takes two seconds. */
export async function lookAtParts(ports: Partial<Ports>): Promise<Condition[]> {
  const asked = parts.flatMap(({ part, port, ask, harm }) => {
    const number = ports[port];
    return number === undefined ? [] : [{ part, harm, why: whyNot(ask(number), number) }];
  });
  const answers = await Promise.all(asked.map(async (one) => ({ ...one, why: await one.why })));
  const wrong = new Set(answers.flatMap(({ part, why }) => (why === undefined ? [] : part)));
  return answers.map(({ part, harm, why }) =>
    why === undefined ? { part } : { part, problem: { why, harm, mend: mendOf(part, why, wrong) } },
  );
}

async function whyNot(ask: () => Promise<string | undefined>, port: number): Promise<string | undefined> {
  try {
    return await ask();
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return isLate ? `it does not answer at port ${port}` : `nothing listens at port ${port}`;
  }
}

/** What a part names as its trouble, by the check of its /readyz, and the part that it needs for that. */
const needs: readonly [check: RegExp, part: string][] = [
  [/\bnats: /, "nats"],
  [/\bclamd: /, "clamd"],
  [/\b(convex|files|sync): /, "convex"],
];

function mendOf(part: string, why: string, wrong: ReadonlySet<string>): string {
  const needed = needs.find(([check]) => check.test(why))?.[1];
  if (needed !== undefined && wrong.has(needed))
    return `mend ${needed} first; ${part} goes on by itself then`;
  const lines = `read the lines of ${needed ?? part} in the output of ./tyto up`;
  if (part === "clamd") return `${lines}; it loads signatures for up to a minute after its start`;
  return `${lines}; if they repeat, stop it with Ctrl-C and start it again`;
}
