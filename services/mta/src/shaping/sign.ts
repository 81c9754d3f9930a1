import type { Observation } from "../observation.ts";

/**
 * What an outcome tells about its site. `much`: it wants less from us. `busy`: it is in trouble of its own. `away`: nobody
 * spoke with us. `alive`: it spoke, about a recipient or a message and not about us. `none`: it was not asked.
 */
export type Sign = "taken" | "much" | "busy" | "away" | "alive" | "none";

/** Enhanced codes (RFC 3463) of limits that are one mailbox's or one transaction's, and say nothing about the next message. */
const ofOneMailbox = new Set(["4.2.1", "4.2.2", "5.2.1", "5.2.2", "4.5.3", "5.5.3"]);

/**
 * 421 ends the whole session, and x.3.x is about the mail system (RFC 3463 §3.4). Any other temporary trouble may be that of one
 * recipient: a few such recipients, tried again and again, must not keep all others waiting.
 */
const isOfServer = (reply: Observation["reply"]) =>
  reply !== undefined && (reply.code === 421 || reply.enhanced?.startsWith("4.3.") === true);

/** Pure: the one place that decides which outcomes slow a site. */
export function signOf({
  outcome,
  reason,
  reply,
  madeBy,
}: Pick<Observation, "outcome" | "reason" | "reply" | "madeBy">): Sign {
  if (outcome === "delivered") return "taken";
  switch (reason) {
    case "rate.limited":
      return reply?.enhanced !== undefined && ofOneMailbox.has(reply.enhanced) ? "alive" : "much";
    case "reputation.listed":
      return "much";
    // For good it is about this message; for now it means "not so much of this".
    case "policy.refused":
    case "content.refused":
      return outcome === "deferred" || madeBy === "rule" ? "much" : "alive";
    case "receiver.busy":
      return isOfServer(reply) ? "busy" : "alive";
    case "network.unreachable":
    case "network.tls":
    case "protocol.error":
      return reply === undefined ? "away" : "busy";
    case "network.dns":
    case "local.trouble":
    case "sender.unsigned":
    case "routing.loop":
    case "expired":
    case undefined:
      return "none";
    default:
      return "alive";
  }
}
