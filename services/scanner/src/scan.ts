/**
 * The scanner's one decision: may this message leave? Nothing passes unscanned, and nothing is given up because clamd
 * is down: it is held and tried again until clamd is back or the message expires.
 */

import { type Arrival, done, reject, retry, type Verdict } from "@tyto/bus";
import { type AcceptedMessage, Failure, type Payload } from "@tyto/contracts";
import type { Outcome } from "./outcome.ts";

export type Ports = {
  /** Throws Failure `resource.unknown` when it is gone. */
  readBody(message: AcceptedMessage): Promise<Uint8Array>;
  dropBody(message: AcceptedMessage): Promise<void>;
  scan(bytes: Uint8Array): Promise<Outcome>;
  /** What is wrong with clamd, if anything. */
  problem(): string | undefined;
  /** Finds out whether clamd works, after a scan that failed. */
  look(): Promise<void>;
  engine(): string;
  publish(
    ...event:
      | ["mail.scanned", Payload<"mail.scanned">]
      | ["mail.refused", Payload<"mail.refused">]
      | ["mail.held", Payload<"mail.held">]
  ): Promise<void>;
  now(): number;
  count(result: "clean" | "infected" | "too-large" | "expired" | "held", durationMs: number): void;
};

/** While clamd is down, all wait the same short time, so that they leave as soon as it is back. */
const heldMsDefault = 5_000;
/** A message that clamd fails at while it works for others waits longer each time. */
const failedFirstMs = 5_000;
const failedMsMax = 60_000;
const whyCharsMax = 300;

export function createScan(ports: Ports, heldMs = heldMsDefault) {
  const held = createMemory(10_000);

  return async function scan(message: AcceptedMessage, arrival: Arrival): Promise<Verdict> {
    const startedAtMs = ports.now();
    const about = (verb: string) => ({
      id: `${message.messageId}.${verb}`,
      at: ports.now(),
      organizationId: message.organizationId,
      messageId: message.messageId,
    });

    const refuse = async (refusal: Pick<Payload<"mail.refused">, "reason" | "signature">) => {
      await ports.publish("mail.refused", { ...about("refused"), ...refusal });
      await ports.dropBody(message);
      return done;
    };

    const hold = async (why: string, afterMs: number) => {
      if (!held.has(message.messageId)) {
        await ports.publish("mail.held", { ...about("held"), why: why.slice(0, whyCharsMax) });
        held.add(message.messageId);
        ports.count("held", ports.now() - startedAtMs);
      }
      return retry(afterMs, why);
    };

    if (startedAtMs >= message.expiresAt) {
      ports.count("expired", 0);
      return refuse({ reason: "expired" });
    }
    const problem = ports.problem();
    if (problem !== undefined) return hold(problem, heldMs);

    let body: Uint8Array;
    try {
      body = await ports.readBody(message);
    } catch (error) {
      if (error instanceof Failure && error.code === "resource.unknown") return reject(error.message);
      throw error;
    }
    const outcome = await ports.scan(body);
    const durationMs = ports.now() - startedAtMs;

    switch (outcome.kind) {
      case "clean":
        ports.count("clean", durationMs);
        await ports.publish("mail.scanned", {
          ...about("scanned"),
          engine: ports.engine(),
          durationMs,
          message: arrival.earlierUntil === undefined ? message : { ...message, isRepeat: true },
        });
        return done;
      case "infected":
        ports.count("infected", durationMs);
        return refuse({ reason: "content.infected", signature: outcome.signature });
      case "too-large":
        ports.count("too-large", durationMs);
        return refuse({ reason: "content.too-large" });
      case "failed": {
        await ports.look();
        const isDown = ports.problem() !== undefined;
        return hold(outcome.why, isDown ? heldMs : failedMs(arrival.times));
      }
    }
  };
}

const failedMs = (times: number) => Math.min(failedMsMax, failedFirstMs * 2 ** Math.min(times - 1, 10));

/** The last `sizeMax` names: what falls out is published again, which the event's id makes harmless. */
function createMemory(sizeMax: number) {
  const names = new Set<string>();
  return {
    has: (name: string) => names.has(name),
    add(name: string) {
      names.add(name);
      const oldest = names.values().next();
      if (names.size > sizeMax && !oldest.done) names.delete(oldest.value);
    },
  };
}
