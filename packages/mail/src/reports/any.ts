import type { RecipientFields } from "../report.ts";
import { addressesIn, addressesOfSender, type Body, isWarning, originalRecipients } from "./body.ts";
import type { Format } from "./format.ts";

const failing =
  /undeliver|deliver|fail|unknown|not found|reject|refus|bounce|return|error|could ?n[o']t|cannot|unable|does ?n[o']t|invalid|full|quota|[45]\d\d|zugestellt|remis|entreg|consegn|recapit|bezorg|devuelt|配信|送信|届|届き|不明|エラー|退信|доставл/i;
const label =
  /^\W{0,12}(?:(?:[\p{L}' -]{0,60}\b)?(?:recipients?|address(?:es)?|user|mailbox|addressee|destinataire|destinatario|empfänger|rcpt to|to|for|宛先|受信者)[\p{L}' ()-]{0,20}[:：=]?\s{0,8})?(?:rfc822;\s?)?["'<([]{0,3}$/iu;
const recipientsMax = 20;

/**
 * The last resort: whatever else a mail system writes. Addresses that open a line or have it for themselves are taken
 * for recipients; else those that stand in a line about a failure; else the recipients of the original. Never addresses
 * of the sender or of the system itself. Asked only about what a mail system seems to have sent.
 */
export const any: Format = (message, body) => {
  if (!failing.test(`${message.subject ?? ""}\n${body.said}`)) return undefined;
  const strangers = (address: string) =>
    !own.has(address.toLowerCase()) &&
    !/^(?:postmaster|mailer-daemon|abuse|support|helpdesk|hostmaster)@/i.test(address);
  const own = addressesOfSender(message, body);
  const original = originalRecipients(message, body);
  const entries = openers(body, strangers) ?? mentioned(body, strangers, original);
  const [first] = original;
  const known = entries ?? (first === undefined ? undefined : new Map([[first, [body.said]]]));
  if (known === undefined) return undefined;
  const action = isWarning(body, message.subject) ? "delayed" : "failed";
  const recipients = [...known].slice(0, recipientsMax).map(
    ([address, words]): RecipientFields => ({
      finalRecipient: address,
      action,
      diagnostic: (/\p{L}{3}/u.test(words.join("")) ? words.join("\n") : body.said).slice(0, 4_000),
      remark: body.said,
    }),
  );
  return { software: "unknown", recipients };
};

type Entries = Map<string, string[]>;

/** Lines that begin with an address, perhaps behind a label, each with the lines up to the next. */
function openers({ lines }: Body, isStranger: (address: string) => boolean): Entries | undefined {
  const entries: Entries = new Map();
  let current: string[] | undefined;
  for (const line of lines) {
    const [address] = line.includes("@") ? addressesIn(line) : [];
    const at = address === undefined ? -1 : line.indexOf(address);
    if (address !== undefined && isStranger(address) && label.test(line.slice(0, at))) {
      current = entries.get(address) ?? [];
      entries.set(address, current);
      current.push(line.slice(at + address.length).replace(/^[\])>"':;., ]{1,6}/, ""));
    } else current?.push(line);
  }
  return entries.size === 0 ? undefined : entries;
}

/** Addresses inside lines about a failure; those that the original was sent to before others. */
function mentioned(
  { lines }: Body,
  isStranger: (address: string) => boolean,
  original: readonly string[],
): Entries | undefined {
  const found = lines
    .filter((line) => line.includes("@"))
    .flatMap((line) => addressesIn(line).map((address) => ({ address, line })))
    .filter(({ address }) => isStranger(address));
  const sure = found.filter(({ address }) => original.includes(address));
  const failed = found.filter(({ line }) => failing.test(line));
  const chosen = sure.length > 0 ? sure : failed.length > 0 ? failed : found.slice(0, 1);
  if (chosen.length === 0) return undefined;
  const entries: Entries = new Map();
  for (const { address } of chosen) entries.set(address, [lines.join("\n")]);
  return entries;
}
