/** One word for a POSIX shell: in single quotes, where only the quote itself needs care. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The same request as a command line. The key is left to the reader: it is shown only once, at creation. */
export function curlOf(origin: string, path: string, body?: unknown): string {
  const lines = [
    `curl ${shellQuote(origin + path)}`,
    `  -H "Authorization: Bearer $TYTO_API_KEY"`,
    ...(body === undefined
      ? []
      : ["  -H 'Content-Type: application/json'", `  -d ${shellQuote(JSON.stringify(body, null, 2))}`]),
  ];
  return lines.join(" \\\n");
}
