/**
 * The story: a batch of events goes to Convex in one signed request. While Convex is away the batch is held and tried
 * again; a batch with something malformed in it is halved until the culprit is alone, so that the rest is applied.
 */
import { done, reject, retry, type Verdict } from "@tyto/bus";
import { Failure, type Payload, type StoredEvent } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Answer, Post } from "./post.ts";

export type Ports = {
  post: Post;
  /** The raw message of a `mail.received`; Failure `resource.unknown` when it is not there any more. */
  getRaw(id: string, parts: number): Promise<Uint8Array>;
  dropRaw(id: string): Promise<void>;
  /** Resolves after `ms`, or at once when the service stops. */
  wait(ms: number): Promise<void>;
  isStopping(): boolean;
  /** Told with every answer; `/readyz` shows it. */
  heard(answer: Answer): void;
  log: Log;
};

const waitMsMin = 250;
const waitMsMax = 10_000;

export const record =
  (ports: Ports) =>
  async (events: readonly StoredEvent[]): Promise<Verdict[]> => {
    const raws = events.flatMap((event) => (event.subject === "mail.received" ? [event.payload] : []));
    for (const received of raws) {
      const problem = await storeRaw(ports, received);
      if (problem === "stopping") return events.map(() => retry(0, "stopping"));
    }
    const verdicts = await apply(ports, events);
    for (const [index, event] of events.entries())
      if (event.subject === "mail.received" && verdicts[index]?.kind === "done")
        await ports.dropRaw(event.payload.inboundId);
    return verdicts;
  };

/** One verdict for each event, in their order. */
async function apply(ports: Ports, events: readonly StoredEvent[]): Promise<Verdict[]> {
  const body = new TextEncoder().encode(JSON.stringify({ events }));
  const answer = await insist(ports, () =>
    ports.post("/events", body, { "content-type": "application/json" }),
  );
  if (answer === undefined) return events.map(() => retry(0, "stopping"));
  if (answer.kind === "taken") return events.map(() => done);
  if (events.length === 1) return [reject(`Convex refused it: ${answer.why}`)];
  const middle = Math.ceil(events.length / 2);
  return [...(await apply(ports, events.slice(0, middle))), ...(await apply(ports, events.slice(middle)))];
}

async function storeRaw(
  ports: Ports,
  { inboundId, rawChunks }: Payload<"mail.received">,
): Promise<"stored" | "stopping"> {
  const bytes = await ports.getRaw(inboundId, rawChunks).catch((error: unknown) => {
    // Dropped after an earlier arrival of this event, whose acknowledgement was lost.
    if (error instanceof Failure && error.code === "resource.unknown") return undefined;
    throw error;
  });
  if (bytes === undefined) return "stored";
  const headers = { "content-type": "message/rfc822", "x-tyto-inbound-id": inboundId };
  const answer = await insist(ports, () => ports.post("/inbound", bytes, headers));
  if (answer === undefined) return "stopping";
  if (answer.kind === "malformed") ports.log.error("raw.not-stored", { inboundId, why: answer.why });
  return "stored";
}

/** Asks until there is an answer other than "down"; undefined when the service stops meanwhile. */
async function insist(
  ports: Ports,
  ask: () => Promise<Answer>,
): Promise<Exclude<Answer, { kind: "down" }> | undefined> {
  for (let waitMs = waitMsMin; !ports.isStopping(); waitMs = Math.min(waitMs * 2, waitMsMax)) {
    const answer = await ask();
    ports.heard(answer);
    if (answer.kind !== "down") return answer;
    ports.log.warn("convex.down", { why: answer.why, waitMs });
    await ports.wait(waitMs);
  }
  return undefined;
}
