/**
 * A mail server that follows a script, for tests of what real servers do at their worst. A script is a text file:
 *
 *     # why this dialog exists
 *     want {"kind":"accepted","reply":{"code":250}}
 *
 *     S: 220 mx.test ESMTP
 *     C: EHLO *
 *     S: 250 mx.test
 *     ...
 *
 * `want` lines tell what each message in turn has to come to (a part of the result, and in `event` of the event that follows),
 * `mail` what the messages are.
 * `S:` is a line that the server sends, `C:` a line that it must receive (`*` stands for anything), `B:` takes a
 * message up to the final dot, `BDAT` one that comes as a single chunk (RFC 3030). `raw "..."` sends bytes as they are, `slow "..."` one by one; `hello` waits for a
 * TLS handshake to begin, `deaf` reads no more; `tls` and `broken tls` answer a handshake;
 * `close`, `reset` and `stall` end the connection, politely, rudely, or not at all. `connection` begins the script of
 * the next connection. Beyond the last script a connection is refused by closing it.
 */
export type Dialog = {
  name: string;
  wants: unknown[];
  mail: Record<string, unknown>;
  connections: Step[][];
};
export type Step = { verb: string; text: string };

export function parseDialog(name: string, text: string): Dialog {
  const dialog: Dialog = { name, wants: [], mail: {}, connections: [[]] };
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const [, verb = "", rest = ""] =
      /^(want|mail|connection|S:|C:|B:|BDAT|raw|slow|hello|deaf|tls|broken tls|old tls|close|reset|stall)(?: (.*))?$/.exec(
        line,
      ) ?? [];
    if (verb === "") throw new Error(`${name}: cannot read ${JSON.stringify(line)}`);
    if (verb === "want") dialog.wants.push(JSON.parse(rest));
    else if (verb === "mail") dialog.mail = JSON.parse(rest) as Record<string, unknown>;
    else if (verb === "connection") dialog.connections.push([]);
    else dialog.connections.at(-1)?.push({ verb, text: rest });
  }
  return dialog;
}
