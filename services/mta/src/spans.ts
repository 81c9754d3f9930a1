import type { QueueEntry } from "@tyto/contracts";
import type { Attributes, Span, Tracer } from "@tyto/service";
import type { Attempted } from "./attempt.ts";

/** One attempt as a span of the trace that began with the API call. */
export const beginAttempt = (tracer: Tracer, entry: QueueEntry): Span =>
  tracer.begin("mta.attempt", {
    parent: entry.traceparent,
    kind: "client",
    attributes: {
      "tyto.delivery": entry.deliveryId,
      "tyto.attempt": entry.attempt,
      "tyto.organization": entry.organizationId,
      "tyto.campaign": entry.campaign,
    },
  });

/** Where it went and what the last reply was. */
export function attributesOf(attempted: Attempted): Attributes {
  const conversation = "conversation" in attempted ? attempted.conversation : undefined;
  const reply = "reply" in attempted ? attempted.reply : undefined;
  return {
    "tyto.outcome": attempted.kind,
    "server.address": conversation?.mx,
    "network.peer.address": conversation?.ip,
    "network.local.address": conversation?.localIp,
    "tls.protocol.version": conversation?.tls?.version,
    "smtp.reply.code": reply?.code,
    "smtp.reply.status": reply?.enhanced,
    "tyto.reason": attempted.kind === "failed" ? attempted.reason : undefined,
  };
}

/** A refusal is an answer; only what was never answered is a failure of the attempt. */
export const problemOf = (attempted: Attempted): string | undefined =>
  attempted.kind === "failed" ? attempted.explanation : undefined;

/** A look that sends nothing is no attempt: mail that waits for days would leave hundreds of spans. */
export const isTried = ({ kind }: Pick<Attempted, "kind">): boolean =>
  kind !== "wait" && kind !== "interrupted";
