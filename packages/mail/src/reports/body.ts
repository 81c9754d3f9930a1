import { header, type Message } from "../message.ts";
import { originalHeaders } from "../original.ts";

/** The text of a report in its two halves: what the mail system says, and the mail it gives back. */
export type Body = {
  /** The mail system's own words. */
  said: string;
  lines: readonly string[];
  /** The text behind the line that announces the original; empty when the original is a part of its own or left out. */
  returned: string;
};

const linesMax = 600;

/** Lines with which mail systems announce what they give back. */
const announcement = new RegExp(
  [
    // "--- Below this line is a copy of the message.", "------ This is a copy of the message, including all the headers. ------"
    String.raw`^[ \t>]{0,8}[-=_*+|#]{2,40}[^\n]{0,60}\b(?:copy|original|returned|unsent|undelivered|old|enclosed|header)\b[^\n]{0,80}$`,
    String.raw`^[ \t]{0,8}(?:the |your )?(?:original|returned|unsent|undelivered|old) (?:message|mail|e-?mail|mail info|text)(?: headers?)?(?: text)?(?: follows\b.{0,20}| is (?:attached|following|below)\b.{0,20}|:|)[ \t]*$`,
    String.raw`^[ \t]{0,8}original message (?:headers?|details)\b[^\n]{0,20}$`,
    String.raw`^[-=_*|+# ]{3,60}(?:message (?:text|header|body)|original message|returned message|returned mail)[^\n]{0,60}$`,
    String.raw`^(?:a copy of the original message|original mail as follows|your message reads|the attachment contains the original)\b`,
    String.raw`^(?:ursprüngliche nachrichtenkopfzeilen|en-têtes de message d'origine|intestazioni originali del messaggio|ursprungshuvuden|encabezados del mensaje original)\b`,
    // The original itself, without a word before it.
    String.raw`^(?:received: (?:from|by|\()|return-path: ?<)`,
  ].join("|"),
  "im",
);
/** What looks like an announcement and opens the report. */
const opening =
  /transcript of session|addresses had|failed addresses|failure reasons|message log|failed recipients|non-delivered information|server message|smtp command|original message was|original message details|original message subject/i;

/** The text of a report, parted where it announces the message that it is about. */
export function bodyOf(message: Message): Body {
  const { text } = message;
  let from = 0;
  let at = text.length;
  for (let tries = 0; tries < 20; tries++) {
    const found = announcement.exec(text.slice(from));
    if (found === null) break;
    const start = from + found.index;
    if (!opening.test(found[0]) && text.slice(0, start).trim() !== "") {
      at = start;
      break;
    }
    from = start + Math.max(1, found[0].length);
  }
  const said = text.slice(0, at);
  return { said, lines: said.split("\n", linesMax), returned: text.slice(at) };
}

const systemFrom =
  /mailer-?daemon|mail-?daemon|post_?master|mail(?:er)? delivery|delivery (?:sub)?system|mail ?(?:sub)?system|mail admin|bounce|mdaemon|sysadmin@|undeliver|internet mail|administrator|admin@|root@|lis(?:tserv|tmaster)|groupwise|mail (?:engine|server|router)|メール|no-?reply/i;
const systemSubject =
  /undeliver|deliver(?:y|ing)? (?:status|fail|notif|problem|report|has|delay|unsuccess|error|attempt)|deliver(?:y|ing)_fail|(?:mail|message|delivery)(?: system)? (?:error|fail|delay)|returned (?:mail|to sender|message)|failure (?:notice|delivery)|fail(?:ed|ure)[ :-]{1,3}(?:mail|deliver)|non-?deliver|(?:could|can|was) ?not(?: be)? (?:deliver|send|sent)|not deliver|unable to deliver|error sending|problem (?:delivering|mit)|warning: (?:could not|message)|mail failed|message (?:status|bounced|you sent|blocked|rejected)|unzustellbar|nicht zugestellt|fehlgeschlagen|zustell|non remis|non (?:consegnat|recapit)|mancata consegna|no (?:se )?(?:ha )?(?:podido )?entreg|não entreg|devuelt|devolvid|échec|retour|onbestelbaar|ol[eä]vererbart|не (?:доставлен|может)|недоставлен|配信|送信|不達|宛先|エラー|退信|投递|\[bounce\]|^bounce/i;

/** A mail system wrote this, as far as its header can say. Words about bounces in anybody's mail do not make a report. */
export const isOfMailSystem = (message: Message): boolean =>
  header(message, "x-failed-recipients") !== undefined ||
  systemFrom.test(header(message, "from") ?? message.from ?? "") ||
  systemSubject.test(message.subject ?? "");

const addressIn =
  /[^\s<>()[\]\\,;:"'@|{}*=]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,10}[\p{L}\p{N}-]{2,63}/gu;

export const addressesIn = (text: string): string[] =>
  [...text.slice(0, 20_000).matchAll(addressIn)].slice(0, 200).map(([address]) => address);

/** Whom the original was sent to, in its order; from its part, or from the text that gives it back. */
export function originalRecipients(message: Message, body: Body): string[] {
  const headers = originalHeaders(message);
  const value = (name: string) => headers.find((one) => one.name === name)?.value;
  const fields = [value("x-original-to"), value("delivered-to"), value("to"), fieldOf(body.returned, "to")];
  const found = fields.find((field) => field?.includes("@") === true);
  return found === undefined ? [] : addressesIn(found);
}

/** A header field inside text, with its folded lines. */
export function fieldOf(text: string, name: string): string | undefined {
  return new RegExp(
    `^[ \\t>]{0,4}${name}:[ \\t]*([^\\n]{1,1000}(?:\\n[ \\t][^\\n]{1,1000}){0,20})`,
    "im",
  ).exec(text)?.[1];
}

/** Addresses that belong to the sender and to the mail system: never those of a recipient. */
export function addressesOfSender(message: Message, body: Body): Set<string> {
  const headers = originalHeaders(message);
  const fields = [
    ...["from", "reply-to", "to", "return-path", "errors-to", "sender"].map((name) => header(message, name)),
    ...["from", "reply-to", "return-path", "sender"].map(
      (name) => headers.find((one) => one.name === name)?.value,
    ),
    fieldOf(body.returned, "from"),
    fieldOf(body.returned, "return-path"),
  ];
  return new Set(fields.flatMap((field) => addressesIn(field ?? "")).map((address) => address.toLowerCase()));
}

/** The mail system goes on trying. */
export const isWarning = ({ said }: Body, subject = ""): boolean =>
  /\bnot yet\b|\b(?:has|have) been delayed\b|\bdelivery (?:is )?delayed\b|\bwill (?:continue|keep) (?:to try|trying)|\bwill be retried\b|\bno action is required\b|\bdo(?:es)? not need to re-?send\b|\btemporary failure\b|\bis delayed\b|\bwarning message only\b|\bstill (?:being )?(?:re)?tr(?:ying|ied)\b|\bcontinue to (?:try|attempt)\b|noch nicht zugestellt|n'a pas encore/i.test(
    `${subject}\n${said.slice(0, 3_000)}`,
  ) &&
  !/\bgiv(?:en|ing) up\b|\bpermanent(?:ly)?\b|\bno further (?:delivery )?attempts|\bgave up\b|\bhas expired\b/i.test(
    said,
  );
