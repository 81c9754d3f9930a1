/** What people type to find messages: the beginning of an address, a domain of recipients, words of the subject. */

export type Search =
  /** Walks the index of recipients: by address, and the newest first for each. */
  | { by: "address"; beginning: string }
  /** Walks the newest messages and looks at each. */
  | { by: "domain"; beginning: string }
  | { by: "words"; words: readonly string[] };

const charsMax = 320;
const wordsMax = 20;

/** `ann@`, `ann@exa` are addresses, `@example.com` is a domain; anything else is words, which may begin an address, too. */
export function readSearch(text: string): Search {
  const typed = text.trim().toLowerCase().slice(0, charsMax);
  if (typed.startsWith("@")) return { by: "domain", beginning: typed.slice(1) };
  if (/^[^@\s]+@\S*$/.test(typed)) return { by: "address", beginning: typed };
  return { by: "words", words: wordsOf(typed).slice(0, wordsMax) };
}

/** Between letters and digits anything divides, but what addresses are made of. */
const wordsOf = (text: string) => text.split(/[^\p{L}\p{N}@._+-]+/u).filter((word) => word !== "");
const subjectWordsOf = (text: string) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u);

/** Whether a message is what was searched; `recipients` are the first of them. Each word has to begin one of the message's. */
export function isFound(
  search: Search,
  { subject, recipients }: { subject: string; recipients: readonly string[] },
): boolean {
  const addresses = recipients.map((address) => address.toLowerCase());
  if (search.by === "address") return addresses.some((address) => address.startsWith(search.beginning));
  if (search.by === "domain")
    return addresses.some((address) =>
      address.slice(address.lastIndexOf("@") + 1).startsWith(search.beginning),
    );
  const [plain, inParts] = [subject.toLowerCase().split(/\s+/), subjectWordsOf(subject)];
  return search.words.every((word) =>
    [...addresses, ...plain, ...inParts].some((one) => one.startsWith(word)),
  );
}
