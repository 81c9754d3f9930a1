import { header } from "../message.ts";
import { addressesIn } from "./body.ts";
import type { Format } from "./format.ts";

/** X-Failed-Recipients, written by Exim and by Google: the addresses of a report whose text has none that can be told. */
export const failedRecipients: Format = (message, body) => {
  const named = header(message, "x-failed-recipients");
  if (named === undefined) return undefined;
  const recipients = addressesIn(named).map((finalRecipient) => ({
    finalRecipient,
    action: "failed",
    diagnostic: body.said.slice(0, 4_000),
    remark: body.said,
  }));
  return recipients.length === 0 ? undefined : { software: "X-Failed-Recipients", recipients };
};
