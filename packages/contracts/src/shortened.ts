/**
 * The text, or as many whole words of it as fit into `charsMax` with a "…" behind them. A word that alone is too long, such as an
 * address of the web, is cut where it has to be, but no character is.
 */
export function shortened(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const room = text.slice(0, Math.max(0, charsMax - 1));
  const end = /\s/.test(text.charAt(room.length)) ? room.length : room.search(/\s+\S*$/);
  const words = end > charsMax / 2 ? room.slice(0, end) : room;
  return `${words.replace(/[\s\ud800-\udbff]+$/, "")}…`;
}
