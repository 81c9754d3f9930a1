const lineTags = /^\/?(?:br|p|div|tr|li|h[1-6]|table|ul|ol|pre|blockquote|hr|dd|dt)\b/i;
const hiddenTags = /^(?:style|script|head|title)\b/i;
const entities: Record<string, string> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
  nbsp: " ",
  "#39": "'",
};

/** The text of an HTML page as a report needs it: lines where a browser would break them, no styles. Takes linear time. */
export function textOfHtml(html: string): string {
  const pieces: string[] = [];
  let lower: string | undefined;
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open === -1) break;
    pieces.push(html.slice(at, open));
    const next = html.charCodeAt(open + 1);
    const isTag = next === 47 || next === 33 || (next >= 65 && next <= 90) || (next >= 97 && next <= 122);
    // An address in angle brackets that nobody escaped.
    const address = isTag
      ? /^<[^<>\s"'=]{1,64}@[^<>\s"'=]{1,200}>/.exec(html.slice(open, open + 270))?.[0]
      : "<";
    if (address !== undefined) {
      pieces.push(address);
      at = open + address.length;
      continue;
    }
    const close = html.indexOf(">", open);
    if (close === -1) break;
    const tag = html.slice(open + 1, Math.min(close, open + 40));
    if (lineTags.test(tag)) pieces.push("\n");
    at = close + 1;
    const hidden = hiddenTags.exec(tag)?.[0];
    if (hidden !== undefined) {
      lower ??= html.toLowerCase();
      const end = lower.indexOf(`</${hidden.toLowerCase()}`, at);
      if (end === -1) break;
      at = end;
    }
  }
  // Whatever stands after the last complete tag.
  if (html.indexOf("<", at) === -1) pieces.push(html.slice(at));
  return pieces
    .join("")
    .replace(
      /&(#?\w{2,6});/g,
      (whole, name: string) => entities[name.toLowerCase()] ?? character(name) ?? whole,
    )
    .replace(/[ \t\u00a0]+/g, " ")
    .replace(/ ?\r?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function character(name: string): string | undefined {
  const [, digits] = /^#(\d{1,6})$/.exec(name) ?? [];
  return digits === undefined ? undefined : String.fromCodePoint(Math.min(Number(digits), 0xffff));
}
