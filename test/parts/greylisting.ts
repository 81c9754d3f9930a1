/** Postfix's policy protocol: one request is lines of name=value and an empty line; the answer is one action. */
export function startGreylisting(domains: readonly string[]) {
  const seen = new Set<string>();
  const actionOn = ({ sender = "", recipient = "" }: Record<string, string>): string => {
    const pair = `${sender} ${recipient}`;
    const isFirst = !seen.has(pair);
    seen.add(pair);
    const domain = recipient.slice(recipient.lastIndexOf("@") + 1);
    return domains.includes(domain) && isFirst ? "450 4.2.0 Greylisted, please try again" : "dunno";
  };
  return Bun.listen<{ buffered: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { buffered: "" };
      },
      data(socket, chunk) {
        const requests = (socket.data.buffered + chunk.toString()).split("\n\n");
        socket.data.buffered = requests.pop() ?? "";
        for (const request of requests) socket.write(`action=${actionOn(readRequest(request))}\n\n`);
      },
    },
  });
}

const readRequest = (request: string): Record<string, string> =>
  Object.fromEntries(
    request.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
