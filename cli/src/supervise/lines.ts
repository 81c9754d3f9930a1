/** A bound for a program that never ends its line. */
const lineBytesMax = 65_536;

/** The lines of a byte stream as they come; a longer line than `lineBytesMax` comes in pieces. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield part.replace(/\r$/, "");
    if (rest.length > lineBytesMax) {
      yield rest;
      rest = "";
    }
  }
  if (rest !== "") yield rest;
}
