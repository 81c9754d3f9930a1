/**
 * What a person wrote in an answer, without the mail that was answered and without the signature. The history is cut by rules
 * that look at one line at a time; email-reply-parser then hides signatures and what quotation is left. Its patterns take
 * time with the square and cube of what they are given, so it sees only short lines, and few of them.
 */
import EmailReplyParser from "email-reply-parser";
import { textOfHtml } from "./html.ts";
import type { Message } from "./message.ts";

const charsMax = 20_000;
const linesMax = 2_000;
/** Longer lines are paragraphs: neither signatures nor lines that introduce a quotation. */
const lineCharsMax = 250;
/** Signatures stand at the end; the library sees so much of it. */
const tailLinesMax = 60;
const tailCharsMax = 4_000;

/** The text of an answer; the whole text where cutting would leave nothing. */
export function replyText(message: Message): string {
  const isFromHtml =
    message.html !== undefined && message.text === textOfHtml(message.html).slice(0, charsMax);
  const text = isFromHtml ? textOfHtml(withoutQuotes(message.html ?? "")) : message.text;
  const lines = text
    .slice(0, charsMax)
    .replace(/\r\n?/g, "\n")
    .split("\n", linesMax)
    .map((line) => line.trimEnd());
  const own = withoutSignature(withoutHistory(lines));
  const answer = clean(own);
  return answer === "" ? clean(lines) : answer;
}

/** At most one empty line in a row, none around. */
const clean = (lines: readonly string[]) =>
  lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();

/** Where mail programs begin the mail that is answered in their HTML. */
const quoteStarts =
  /<blockquote\b|<div\b[^<>]{0,200}\b(?:class|id)\s*=\s*["']?[^"'<>]{0,100}\b(?:gmail_quote|gmail_extra|yahoo_quoted|protonmail_quote|tutanota_quote|moz-cite-prefix|divRplyFwdMsg|appendonsend|reply-intro|x_divRplyFwdMsg)|<hr\b[^<>]{0,200}\bid\s*=\s*["']?stopSpelling|<a\b[^<>]{0,60}\bname\s*=\s*["']?_MailOriginal/i;

function withoutQuotes(html: string): string {
  const at = html.search(quoteStarts);
  if (at === -1) return html;
  const front = html.slice(0, at);
  // A quotation at the very beginning has its answer below.
  return textOfHtml(front) === "" ? html : front;
}

/** `-----Original Message-----` and its sisters. */
const dividers =
  /^[>\s]*[-_*=]{2,40}\s*(?:original message|original appointment|forwarded message|forwarded by|reply message|ursprüngliche nachricht|original-?nachricht|weitergeleitete nachricht|message d['’]origine|message original|message transféré|mensaje original|mensaje reenviado|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse|ursprungligt meddelande|opprinnelig melding|alkuperäinen viesti|wiadomość oryginalna|исходное сообщение|пересылаемое сообщение|元のメッセージ|転送メッセージ|原始邮件|原始郵件|원본 메시지|original|ursprung)[^\n]{0,60}?[-_*=]{2,40}\s*$/i;

/** The fields that programs repeat above the mail that is answered, by what they mean. */
const fieldNames: readonly [string, RegExp][] = [
  [
    "from",
    /^(?:from|von|de|da|van|från|fra|od|от|отправитель|lähettäjä|差出人|发件人|寄件者|보낸 사람|kimden)$/i,
  ],
  [
    "sent",
    /^(?:sent|date|gesendet|datum|envoyé|enviado(?: el)?|fecha|data|inviato|verzonden|skickat|sendt|wysłano|дата|отправлено|lähetetty|送信日時|日時|发送时间|日期|寄件日期|보낸 날짜|날짜|tarih)$/i,
  ],
  ["to", /^(?:to|an|à|para|a|aan|till|til|do|кому|vastaanottaja|宛先|收件人|받는 사람|kime)$/i],
  [
    "subject",
    /^(?:subject|betreff|objet|asunto|oggetto|assunto|onderwerp|ämne|emne|temat|тема|aihe|件名|主题|主旨|제목|konu)$/i,
  ],
  ["cc", /^(?:cc|kopie|copie|kopia)$/i],
];

/** Lines that introduce a quotation, whole. Each pattern has one free stretch, so that it takes linear time. */
const attributions: readonly RegExp[] = [
  /^(?:on|at) \S.*\b(?:wrote|writes|said):?$/i,
  /^am \S.*\bschrieb\b[^:]*:$/i,
  /^[^:]*<[^<>\s]{3,254}> schrieb(?: am [^:]*:\d\d)?[^:]*:$/i,
  /^le \S.*\ba écrit\s*:?$/i,
  /^el \S.*\bescribió\s*:?$/i,
  /^il \S.*\bha scritto\s*:?$/i,
  /^(?:em|a) \S.*\bescreveu\s*:?$/i,
  /^op \S.*\bschreef\b[^:]*:$/i,
  /^(?:den|på|d\.|pe|w dniu|dnia) \S.*(?:skrev|kirjoitti|napisał(?:\(a\)|a)?|pisze)[^:]*:$/i,
  /^\S.*(?:пишет|написала?|написал\(а\))\s*:$/i,
  /^(?:19|20)\d\d\s?[年/.-].*(?:<[^<>\s]{3,254}>|のメール|さんは書きました|のメッセージ|が書きました|작성|wrote)\s*[:：]?$/i,
  /^在?\s?\S.*(?:写道|寫道)\s*[:：]$/,
  /^\S.*のメール\s*[:：]$/,
  /^[^:]{1,120}<[^<>\s]{3,254}> ?(?:wrote|writes|a écrit|escribió|ha scritto)\s*:$/i,
  /^\S.*\d{1,2}[:.h]\d\d.*<[^<>\s]{3,254}>\s*[:：]$/,
];

/** How such lines end; looked at first, since most lines do not. */
const mayIntroduce = /(?:[:：]|wrote|writes|said|écrit|escribió|scritto|escreveu|작성)\s?$/i;

const quoted = /^\s{0,3}(?:>|＞|\|(?=\s))/;

/** Without the mail that is answered: below a divider or a repeated header all of it, below other introductions what is quoted. */
function withoutHistory(lines: readonly string[]): string[] {
  const own: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (dividers.test(line.slice(0, lineCharsMax)) || isRepeatedHeader(lines, at)) break;
    const length = attributionAt(lines, at);
    if (length > 0) {
      const rest = lines.slice(at + length);
      // Where the mail below is not marked, nobody can tell it from an answer below.
      if (!rest.some((later) => quoted.test(later))) break;
      at += length - 1;
      continue;
    }
    if (!quoted.test(line)) own.push(line);
  }
  return own;
}

/** True where at least three of from, sent, to and subject follow each other, each on a line of its own. */
function isRepeatedHeader(lines: readonly string[], at: number): boolean {
  const seen = new Set<string>();
  for (const line of lines.slice(at, at + 8)) {
    if (line.trim() === "" && seen.size === 0) return false;
    const [, name = ""] = /^[>*\s]{0,6}([^:：*\n]{1,20}?)\s?\*{0,2}[:：]/.exec(line.slice(0, 60)) ?? [];
    const meaning = fieldNames.find(([, names]) => names.test(name.trim()))?.[0];
    if (meaning === undefined) {
      if (seen.size === 0) return false;
      continue;
    }
    seen.add(meaning);
  }
  seen.delete("cc");
  return seen.size >= 3 && seen.has("from");
}

/** Of how many lines the introduction of a quotation consists that begins here: 0 to 3. */
function attributionAt(lines: readonly string[], at: number): number {
  let joined = "";
  for (let length = 1; length <= 3; length++) {
    const line = lines[at + length - 1]?.replace(/^[\s>*]+/, "") ?? "";
    if (line === "" || quoted.test(lines[at] ?? "")) return 0;
    joined = joined === "" ? line : `${joined} ${line}`;
    if (joined.length > lineCharsMax) return 0;
    if (mayIntroduce.test(joined) && attributions.some((pattern) => pattern.test(joined.trimEnd())))
      return length;
  }
  return 0;
}

/** The last line before a name: everything from there to the end is signature, if little enough follows. */
const closings =
  /^(?:mit (?:freundlichem gruß|freundlichen|besten|lieben|herzlichen|schönen|sonnigen) ?(?:grü(?:ß|ss)en?)?|(?:viele|liebe|beste|schöne|herzliche|freundliche) grü(?:ß|ss)e(?: aus .{1,30})?|mfg|lg|vg|(?:best|kind|warm|warmest|kindest|with kind|with best)? ?regards|best wishes|all the best|cheers|sincerely(?: yours)?|yours (?:truly|sincerely|faithfully)|(?:bien )?cordialement|bien (?:à vous|à toi)|(?:sincères|meilleures) salutations|bonne (?:journée|soirée)|saludos(?: cordiales)?|un (?:cordial |fuerte )?(?:saludo|abrazo)|atentamente|(?:cordiali|distinti) saluti|met vriendelijke groet(?:en)?|groet(?:en|jes)?|med vänliga? hälsning(?:ar)?|(?:med )?venlig hilsen|atenciosamente|敬具|草々)\s?[,.!、。]?$/i;
const mobile =
  /^(?:sent from (?:my |yahoo|outlook|mail|proton|samsung|a mobile).{0,60}|get outlook for .{1,40}|(?:von meinem|gesendet (?:von|mit|aus)) .{1,60}|envoyé (?:de(?:puis)?|à partir) .{1,60}|enviado (?:desde|do) .{1,60}|inviato da .{1,60}|verzonden vanaf .{1,40}|verstuurd vanaf .{1,40}|(?:iphone|ipad|android|スマートフォン|携帯)から送信|.{0,20}から送信)\.?$/i;
const delimiter = /^(?:-- ?|__+|—|–|[-=_*＿─━=]{4,80})$/;
const signatureLinesMax = 15;
const closingLinesMax = 8;
/** Words of patterns that search across lines: a text with one of them is not shown to the library. */
const costly = /schreef|skrev|写道|pisze|napisał/i;

function withoutSignature(lines: readonly string[]): string[] {
  const last = lines.findLastIndex((line) => line !== "");
  const body = lines.slice(0, last + 1);
  for (let at = Math.max(0, body.length - signatureLinesMax - 1); at < body.length; at++) {
    const line = body[at] ?? "";
    const following = body.length - at - 1;
    if (line.length > lineCharsMax) continue;
    if (delimiter.test(line) || mobile.test(line.trim())) return withoutSignature(body.slice(0, at));
    if (following <= closingLinesMax && closings.test(line.trim())) return body.slice(0, at);
  }
  return visible(body);
}

function visible(lines: readonly string[]): string[] {
  let from = Math.max(0, lines.length - tailLinesMax);
  const tail = () =>
    lines.slice(from).map((line, index) => (line.length > lineCharsMax ? `\ue000${index}\ue000` : line));
  while (from < lines.length && tail().join("\n").length > tailCharsMax) from++;
  const shown = tail()
    .join("\n")
    .replace(/\n{3,}/g, "\n\n");
  if (shown === "" || costly.test(shown)) return [...lines];
  const kept = new EmailReplyParser()
    .parseReply(shown)
    .split("\n")
    .map((line) =>
      line.replace(/\ue000(\d{1,4})\ue000/g, (_, index: string) => lines[from + Number(index)] ?? ""),
    );
  return [...lines.slice(0, from), ...kept];
}
