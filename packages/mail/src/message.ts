import PostalMime from "postal-mime";

/** What Tyto reads of a message that came in. Everything in it is a stranger's claim. */
export type Message = {
  /** Header values in order, names in lower case, encoded words as they came. */
  headers: readonly { name: string; value: string }[];
  /** As shown to people: `Name <name@example.com>`. */
  from?: string;
  subject?: string;
  /** The readable text, from the HTML where there is no plain text. */
  text: string;
  /** Every part that is not readable text, with its transfer encoding undone. `type` is the media type in lower case. */
  parts: readonly { type: string; bytes: Uint8Array }[];
};

/** Reports and headers stand in front; what comes after this is the mail that was sent, or attachments. */
const bytesReadMax = 512 * 1024;
/** The parser pays for each line and for each part, however short. */
const linesReadMax = 20_000;
const dashLinesReadMax = 1_000;
const limits = { maxNestingDepth: 20, maxHeadersSize: 128 * 1024, maxRfc822NestingDepth: 0 };
const charsMax = { from: 500, subject: 998, text: 20_000 };

/**
 * Reads the structure of a message (RFC 5322, RFC 2045). Looks at its first 512 KB,
 * 20,000 lines and 1,000 lines that could divide parts. Messages inside the message stay
 * parts. `undefined` when nesting or headers exceed any reason; never throws for what the bytes say.
 */
export async function readMessage(bytes: Uint8Array): Promise<Message | undefined> {
  const mail = await PostalMime.parse(readable(bytes), {
    ...limits,
    forceRfc822Attachments: true,
  }).catch((error: unknown) => {
    // The limits are reported as plain errors; a defect of the parser on hostile bytes looks the same and means the same.
    if (error instanceof Error) return undefined;
    throw error;
  });
  if (mail === undefined) return undefined;
  const from = mail.from?.address ? shownMailbox(mail.from.name, mail.from.address) : undefined;
  const subject = mail.subject === undefined ? undefined : oneLine(mail.subject, charsMax.subject);
  return {
    headers: mail.headers.map(({ key, value }) => ({ name: key, value })),
    ...(from === undefined ? {} : { from }),
    ...(subject === undefined ? {} : { subject }),
    text: (mail.text ?? "").slice(0, charsMax.text),
    parts: mail.attachments.map(({ mimeType, content }) => ({
      type: mimeType,
      bytes: typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content),
    })),
  };
}

/** The front of the message, cut where one of the bounds is met. */
function readable(bytes: Uint8Array): Uint8Array {
  const [lineFeed, dash] = [0x0a, 0x2d];
  const front = bytes.subarray(0, bytesReadMax);
  let dashLines = 0;
  let lines = 0;
  for (let at = front.indexOf(lineFeed); at !== -1; at = front.indexOf(lineFeed, at + 1)) {
    if (front[at + 1] === dash && front[at + 2] === dash) dashLines++;
    if (++lines > linesReadMax || dashLines > dashLinesReadMax) return front.subarray(0, at + 1);
  }
  return front;
}

/** The first value of a header. `name` in lower case. */
export function header(message: Message, name: string): string | undefined {
  return message.headers.find((one) => one.name === name)?.value;
}

function shownMailbox(name: string | undefined, address: string): string {
  const shown = name ? `${name} <${address}>` : address;
  return oneLine(shown, charsMax.from);
}

function oneLine(text: string, chars: number): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, chars);
}
