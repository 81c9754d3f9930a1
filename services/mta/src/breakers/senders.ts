import { defaultOrganization, type MessageId } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Report } from "../feedback.ts";
import { codesIn, type Owner, ownerCode } from "../origin.ts";

/** Messages whose sender is remembered, for reports in which no return path is left. */
const messagesMax = 100_000;

/**
 * For whom a message was sent that a report is about: by the mark in its return path, where one of those that are counted fits, else from
 * memory, else what the report says, which is the organisation alone.
 */
export class Senders {
  readonly #byMessage = new BoundedMap<string, Owner>(messagesMax);
  /** Without a value: several have this code. */
  readonly #byCode: BoundedMap<string, Owner | undefined>;

  /** `ownersMax`: as many as are counted. */
  constructor(ownersMax: number) {
    this.#byCode = new BoundedMap(ownersMax);
  }

  /** Somebody is counted from now on. */
  add(owner: Owner): void {
    const code = ownerCode(owner);
    const isTaken = this.#byCode.has(code) && !isSame(this.#byCode.get(code), owner);
    this.#byCode.set(code, isTaken ? undefined : owner);
  }

  /** A server took a message. */
  sent(messageId: MessageId, { organizationId, campaign }: Owner): void {
    if (campaign !== undefined) this.#byMessage.set(messageId, { organizationId, campaign });
    // Whoever reads reports knows neither: to them all mail is the first organisation's.
    else if (organizationId !== defaultOrganization) this.#byMessage.set(messageId, { organizationId });
  }

  of({ messageId, organizationId, origin }: Pick<Report, "messageId" | "organizationId" | "origin">): Owner {
    const marked = origin === undefined ? undefined : this.#byCode.get(codesIn(origin).owner);
    return marked ?? this.#byMessage.get(messageId) ?? { organizationId };
  }
}

const isSame = (one: Owner | undefined, other: Owner) =>
  one?.organizationId === other.organizationId && one.campaign === other.campaign;
