/** Challenges: a filter asks the sender to prove to be a person before it lets the mail through. The mail is not lost, and not delivered. */
import { header, type Message } from "./message.ts";

type Sign = { system: string; from?: RegExp; subject?: RegExp; text?: RegExp; headers?: readonly string[] };

/** Every pattern that is given has to match. */
const signs: readonly Sign[] = [
  { system: "Boxbe", from: /@(?:\w+\.)?boxbe\.com\b/i },
  { system: "Boxbe", text: /https?:\/\/(?:www\.)?boxbe\.com\//, headers: ["x-boxbe-version"] },
  { system: "Spam Arrest", text: /https?:\/\/(?:www\.)?spamarrest\.com\/a\d?\b/i },
  { system: "Spam Arrest", from: /@(?:\w+\.)?spamarrest\.com\b/i },
  { system: "EarthLink", subject: /\bsuspect e-?mail\b/i, text: /earthlink/i },
  {
    system: "EarthLink",
    text: /earthlink\.net\/(?:addme|wam\/addme|AddMe)|webmail\.(?:pas|atl)\.earthlink\.net\/wam\/addme/i,
  },
  { system: "UOL AntiSpam", from: /@(?:[\w-]+\.)?uol\.com\.br\b/i, subject: /anti-?spam/i },
  { system: "UOL AntiSpam", text: /tira-?teima.{0,60}uol|uol.{0,60}tira-?teima/is },
  { system: "TMDA", headers: ["x-delivery-agent"], subject: /^please confirm your message/i },
  { system: "TMDA", subject: /^please confirm your message$/i, text: /\bconfirm\b/i },
  { system: "Sendio", text: /\bsendio\b.{0,400}\b(?:verif|sender address)/is },
  { system: "Bluebottle", from: /@(?:\w+\.)?bluebottle\.com\b/i, text: /\bverif/i },
  { system: "Mailblocks", text: /https?:\/\/app\d?\.mailblocks\.com\//i },
  { system: "0Spam", text: /https?:\/\/(?:www\.)?0spam\.com\/verify/i },
  {
    system: "ChoiceMail",
    text: /digiportal|choicemail/i,
    subject: /\b(?:registration|approve|permission)\b/i,
  },
  { system: "SpamLion", text: /spamlion\.com\//i },
  { system: "Knowspam", text: /knowspam\.net\//i },
  { system: "iPermitMail", text: /ipermitmail\.com\//i },
  { system: "CleanMyMailbox", text: /cleanmymailbox\.com\//i },
  { system: "Mailinblack", from: /@(?:[\w-]+\.)?(?:mailinblack|mib)\.(?:com|fr)\b/i },
  { system: "Mailinblack", text: /https?:\/\/[\w.-]{0,80}mailinblack\.com\//i },
  { system: "Vade Retro", text: /vade ?retro.{0,300}(?:authentif|confirm)/is },
  { system: "MailChannels", text: /mailchannels\.(?:com|net)\/(?:verify|challenge)/i },
  { system: "Antispameurope", text: /antispameurope\.com\/(?:verify|challenge)/i },
];

/** What filters of any name ask for, in the languages they ask in. Two things have to be asked for together. */
const asks: readonly [why: RegExp, how: RegExp][] = [
  [
    /\b(?:not (?:yet )?(?:on|in) (?:my|our|the (?:recipient'?s?|user'?s?)) (?:approved|allowed|safe|white|guest|contact)[ -]?(?:senders?'? )?list|first (?:e-?mail|message) (?:to|from you)|protect(?:s|ed|ing)? (?:\w+ ){0,4}(?:from|against) (?:junk|spam|unsolicited)|has been (?:held|quarantined|placed in) )/i,
    /\b(?:click|follow|reply|visit|go to|use)\b.{0,120}\b(?:to (?:verify|confirm|prove|authenticate|be added|release|deliver)|(?:verify|confirm) (?:that )?(?:you|your))/is,
  ],
  [
    /\b(?:noch nicht (?:auf|in) (?:der|meiner|unserer) (?:liste|whitelist)|schütz(?:t|en) (?:\w+ ){0,4}vor (?:spam|werbung)|zurückgehalten)\b/i,
    /\b(?:klicken|bestätigen|antworten) sie\b.{0,160}\b(?:bestätig|zustell|freigeb|link)/is,
  ],
  [
    /\b(?:pas encore (?:dans|sur) (?:la|ma|sa) liste|protège (?:\w+ ){0,4}contre (?:le spam|les spams)|mis en (?:attente|quarantaine))\b/i,
    /\b(?:cliquez|confirmez|authentifiez)\b.{0,160}\b(?:lien|ici|message|authentif)/is,
  ],
];

/** Words of the systems above; most mail has none of them. */
const anyWord =
  /boxbe|spamarrest|spam arrest|earthlink|suspect e-?mail|uol|please confirm your message|sendio|bluebottle|mailblocks|0spam|digiportal|choicemail|spamlion|knowspam|ipermitmail|cleanmymailbox|mailinblack|\bmib\.|vade ?retro|mailchannels|antispameurope/i;

const charsRead = 8_000;

/** The system that asks, for people; `undefined` where nobody does. */
export function challengeSign(message: Message): string | undefined {
  if (/multipart\/report/i.test(header(message, "content-type") ?? "")) return undefined;
  const text = `${message.text.slice(0, charsRead)}\n${(message.html ?? "").slice(0, charsRead)}`;
  const subject = message.subject ?? "";
  const mayBeKnown = [message.from ?? "", subject, text].some((words) => anyWord.test(words));
  const known = !mayBeKnown
    ? undefined
    : signs.find(
        (sign) =>
          (sign.from?.test(message.from ?? "") ?? true) &&
          (sign.subject?.test(subject) ?? true) &&
          (sign.text?.test(text) ?? true) &&
          (sign.headers?.every((name) => header(message, name) !== undefined) ?? true),
      );
  if (known !== undefined) return known.system;
  // The words alone also stand in digests of quarantines and in phishing, which answer nothing.
  const isAnswer =
    header(message, "in-reply-to") !== undefined ||
    header(message, "references") !== undefined ||
    /^\s*(?:re|aw|rép|rv)\s*:/i.test(subject);
  return isAnswer && asks.some(([why, how]) => why.test(text) && how.test(text))
    ? "a filter that asks the sender to confirm"
    : undefined;
}
