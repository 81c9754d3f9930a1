/**
 * The receiver's mail server, as small as the pages need it: takes mail for everybody, except that it knows nobody
 * called `nobody` (550 5.1.1) and asks `later` to come back (451 4.7.1). It keeps the latest mail to each address.
 */
import type { Socket } from "bun";

export type Remote = {
  address: string;
  /** The latest mail to an address, with all its header fields. */
  mailTo: (address: string) => string | undefined;
  stop: () => void;
};
type Dialog = { text: string; inBody: boolean; to: string; lines: string[] };

const answers: [RegExp, string][] = [
  [/^EHLO/i, "250-remote.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"],
  [/^RCPT TO:<nobody@/i, "550 5.1.1 User unknown in virtual mailbox table"],
  [/^RCPT TO:<later@/i, "451 4.7.1 Greylisted, please try again"],
  [/^DATA/i, "354 End data with <CR><LF>.<CR><LF>"],
  [/^QUIT/i, "221 2.0.0 Bye"],
];

function step(socket: Socket<Dialog>, line: string, mails: Map<string, string>): void {
  if (socket.data.inBody) {
    if (line !== ".") {
      socket.data.lines.push(line.replace(/^\./, ""));
      return;
    }
    mails.set(socket.data.to, socket.data.lines.join("\n"));
    socket.data.inBody = false;
    socket.data.lines = [];
    socket.write("250 2.0.0 Ok: queued as 4XkT2p1Mz9\r\n");
    return;
  }
  socket.data.to = /^RCPT TO:<([^>]*)>/i.exec(line)?.[1] ?? socket.data.to;
  const answer = answers.find(([command]) => command.test(line))?.[1] ?? "250 2.0.0 Ok";
  socket.data.inBody = answer.startsWith("354");
  socket.write(`${answer}\r\n`);
  if (answer.startsWith("221")) socket.end();
}

export function startRemote(): Remote {
  const mails = new Map<string, string>();
  const listener = Bun.listen<Dialog>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "", inBody: false, to: "", lines: [] };
        socket.write("220 remote.test ESMTP\r\n");
      },
      data(socket, bytes) {
        const lines = (socket.data.text + bytes.toString("latin1")).split("\r\n");
        socket.data.text = lines.pop() ?? "";
        for (const line of lines) step(socket, line, mails);
      },
    },
  });
  return {
    address: `127.0.0.1:${listener.port}`,
    mailTo: (address) => mails.get(address),
    stop: () => listener.stop(true),
  };
}
