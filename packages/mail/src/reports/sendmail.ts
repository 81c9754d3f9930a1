import type { RecipientFields } from "../report.ts";
import { type Body, isWarning } from "./body.ts";
import type { Format } from "./format.ts";
import { address, line } from "./listing.ts";

const headings = /-{3} ?(?:transcript of session|the following addresses had)/i;
const list = /^[ \t]*-{3,} ?the following addresses had/i;
const transcript = /^[ \t]*-{3,} ?transcript of session/i;
const bare = line`^[ \t>]{0,8}${address}(?: <[^>]{1,320}>)?(?:\s{1,8}\(.{1,300}\))?[ \t]*$`;
/** `550 5.1.1 <ann@example.com>... User unknown`, `ann@example.com... Deferred: Connection timed out` */
const told = line`^(?:[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?${address}\.\.\.`;
const command = line`^>>> RCPT To: ?${address}`;
const recipientsMax = 100;

/** Sendmail 5 to 8 without a status part, and those that imitate it: the addresses in front, the transcript behind. */
export const sendmail: Format = (message, body) => {
  if (!headings.test(message.text)) return undefined;
  const { listed, session } = read(body);
  const addresses = [...(listed.size > 0 ? listed.keys() : session.keys())].slice(0, recipientsMax);
  const action = isWarning(body, message.subject) ? "delayed" : "failed";
  const whole = body.lines.slice(body.lines.findIndex((text) => transcript.test(text)) + 1).join("\n");
  const recipients = addresses.map((one): RecipientFields => {
    const own = [...(listed.get(one) ?? []), ...(session.get(one) ?? [])].join("\n");
    const words = /\p{L}{3}/u.test(own) ? own : whole;
    return { finalRecipient: one, action, diagnostic: readable(words), remark: body.said };
  });
  return recipients.length === 0 ? undefined : { software: "Sendmail", recipients };
};

/** Lines under each address of the list, and lines of the session about each address that it names. */
function read({ lines }: Body) {
  const listed = new Map<string, string[]>();
  const session = new Map<string, string[]>();
  let part: "list" | "session" | undefined;
  let current: string[] | undefined;
  const open = (found: string, entries: Map<string, string[]>) => {
    current = entries.get(found) ?? [];
    entries.set(found, current);
  };
  for (const text of lines) {
    if (list.test(text)) part = "list";
    else if (transcript.test(text)) {
      part = "session";
      current = undefined;
    } else if (part === "list") {
      const found = bare.exec(text)?.groups?.address;
      if (found !== undefined) open(found, listed);
      else current?.push(text);
    } else if (part === "session") {
      const found = (told.exec(text) ?? command.exec(text))?.groups?.address;
      if (found !== undefined) open(found, session);
      current?.push(text);
    }
  }
  return { listed, session };
}

/** The reply that the other server gave (`<<<`) before what Sendmail makes of it. */
function readable(words: string): string {
  const replies = words.split("\n").filter((text) => /^[ \t]*<<< ?[45]\d\d/.test(text));
  const reason = /\(reason: ([^\n]{1,1000}?)\)?\s*$/im.exec(words)?.[1];
  if (replies.length > 0) return replies.map((text) => text.replace(/^[ \t]*<<< ?/, "")).join("\n");
  return reason ?? words.replace(/^[ \t]*(?:>>>|<<<)[ \t]*/gm, "");
}
