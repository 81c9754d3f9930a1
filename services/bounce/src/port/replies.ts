/**
 * The replies that smtp-server makes by itself, in our words: each with its enhanced status code (RFC 2034, RFC 3463).
 * Replies that we made carry theirs already.
 */

const enhanced: Record<number, string> = {
  221: "2.0.0",
  250: "2.0.0",
  252: "2.0.0",
  421: "4.3.2",
  450: "4.2.0",
  451: "4.3.0",
  452: "4.5.3",
  500: "5.5.2",
  501: "5.5.4",
  502: "5.5.1",
  503: "5.5.1",
  504: "5.5.4",
  530: "5.7.0",
  550: "5.1.1",
  552: "5.3.4",
  553: "5.1.3",
  554: "5.5.0",
  555: "5.5.4",
};

/** What smtp-server calls the reply, where that tells more than its code. */
const byContext: Record<string, string> = {
  MAIL_FROM_OK: "2.1.0",
  RCPT_TO_OK: "2.1.5",
  DATA_OK: "2.6.0",
  SENDER_SYNTAX_ERROR: "5.1.7",
  MAILBOX_SYNTAX_ERROR: "5.1.3",
};

/** `text` is a list for the reply to EHLO. `context` is `false` for greetings, which carry no enhanced status code. */
export function inOurWords(
  code: number,
  text: string | string[] | null | undefined,
  context: string | false | undefined,
): string | string[] | null | undefined {
  if (Array.isArray(text)) return code === 250 ? [...text, "ENHANCEDSTATUSCODES"] : text;
  if (typeof text !== "string" || /^[245]\.\d{1,3}\.\d{1,3} /.test(text)) return text;
  const isGreeting = code === 220 || (code === 250 && context === false);
  const status = byContext[context || ""] ?? enhanced[code];
  if (isGreeting || status === undefined) return text;
  const words = text.replace(/^Error: /, "");
  return `${status} ${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
