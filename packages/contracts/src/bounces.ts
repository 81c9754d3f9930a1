/** How bounces of one delivery compare: a delivery bounces once, and the best founded of what is told of it is its bounce. */
import type { Payload } from "./events.ts";

/**
 * From the weakest: hard says more than soft, since a mailbox that is gone can be full no more; and what a code or known words say
 * more than what was only read from a report's words for people.
 */
export const standings = ["soft.guess", "soft.sure", "hard.guess", "hard.sure"] as const;
export type Standing = (typeof standings)[number];

/** Words for people alone give 0.5, an enhanced status code alone 0.6. */
const sureMin = 0.6;

type Told = Pick<Payload<"mail.bounced">, "hard" | "confidence">;

export const standingOf = ({ hard, confidence }: Told): Standing =>
  `${hard ? "hard" : "soft"}.${confidence >= sureMin ? "sure" : "guess"}`;

/**
 * Only what can never arrive and is the recipient's own doing, for all that the server said, ends in suppression; a full
 * mailbox, our reputation or a guess does not.
 */
export const suppresses = (bounce: Told & Pick<Payload<"mail.bounced">, "fault">): boolean =>
  standingOf(bounce) === "hard.sure" && bounce.fault === "recipient";
