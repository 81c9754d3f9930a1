/** The list that a person typed into a field of recipients: commas, semicolons and line breaks part it. */
export function parseMailboxes(text: string): string[] {
  const boxes: string[] = [];
  let box = "";
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    if (!quoted && /[,;\n]/.test(char)) {
      boxes.push(box);
      box = "";
    } else box += char;
  }
  return [...boxes, box].map((part) => part.trim()).filter((part) => part !== "");
}

/** The bare address of `Ann <ann@example.com>`. */
export function addressOf(mailbox: string): string {
  return (/<([^<>]*)>\s*$/.exec(mailbox)?.[1] ?? mailbox).trim();
}

/** What the gateway would take at first sight; the gateway decides. */
export function looksLikeAddress(text: string): boolean {
  return /^[^\s@<>()[\]\\,;:"]{1,64}@[^\s@.]+(\.[^\s@.]+)+$/.test(text) && text.length <= 254;
}

/** The domain of an address, in lower case; empty when there is none. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : address.slice(at + 1).toLowerCase();
}
