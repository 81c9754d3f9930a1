import { BoundedMap } from "@tyto/service";

/**
 * Fields that are signed where present. Each is also listed once more than it occurs (RFC 6376 §8.15), so that a
 * second From or Subject put in front breaks the signature instead of being shown to the reader.
 */
const oversigned = [
  "from",
  "sender",
  "reply-to",
  "subject",
  "date",
  "message-id",
  "to",
  "cc",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "in-reply-to",
  "references",
  // RFC 8058 §4 asks for both of these to be covered.
  "list-unsubscribe",
  "list-unsubscribe-post",
];
/** Signed as often as they occur: mailing lists and receivers may add their own without harm. */
const signedOnce = [
  "list-id",
  "list-help",
  "feedback-id",
  "auto-submitted",
  // RFC 9477 §3.1.4 asks for both of these to be covered.
  "cfbl-address",
  "cfbl-feedback-id",
];

/** What a signature covers of a header. */
export type SignedFields = {
  /** Where its fields stand in the header, in the order of `h=`. */
  places: readonly number[];
  /** `h=` in lines that every mail system passes unchanged, and in relaxed form (RFC 6376 §3.4.2). */
  folded: string;
  relaxed: string;
};

/** Messages of one sender have the same fields: what follows from their names is found once. */
const headersKnownMax = 500;
/** Of all names of a header that is remembered. */
const namesCharsMax = 1_000;
const known = new BoundedMap<string, SignedFields>(headersKnownMax);

/** `names` are those of all fields of a header, in lower case and in its order; those in `rewritten` stay unsigned. */
export function signedFields(names: readonly string[], rewritten: readonly string[]): SignedFields {
  // A colon stands in no name.
  const header = `${names.join(":")}::${rewritten.join(":")}`;
  const found = known.get(header);
  if (found !== undefined) return found;
  const fresh = select(names, rewritten);
  if (header.length <= namesCharsMax) known.set(header, fresh);
  return fresh;
}

/** Of equal names the lowest comes first (RFC 6376 §5.4.2). */
function select(names: readonly string[], rewritten: readonly string[]): SignedFields {
  const placesOf = new Map<string, number[]>();
  for (const [place, name] of names.entries()) {
    const others = placesOf.get(name);
    if (others === undefined) placesOf.set(name, [place]);
    else others.unshift(place);
  }
  const places: number[] = [];
  const listed: string[] = [];
  const take = (name: string, isOversigned: boolean) => {
    if (rewritten.includes(name)) return;
    for (const place of placesOf.get(name) ?? []) {
      places.push(place);
      listed.push(name);
    }
    if (isOversigned) listed.push(name);
  };
  for (const name of oversigned) take(name, true);
  for (const name of signedOnce) take(name, false);
  const lines = linesOf(listed);
  return { places, folded: lines.join(":\r\n  "), relaxed: lines.join(": ") };
}

/** With ` h=` or two spaces in front and a colon behind. */
const lineCharsMax = 72;

/** Names joined by colons, broken into lines. */
function linesOf(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = "";
  for (const name of names) {
    if (line !== "" && 2 + line.length + 1 + name.length > lineCharsMax) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? name : `:${name}`;
  }
  if (line !== "") lines.push(line);
  return lines;
}
