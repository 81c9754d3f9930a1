/** One kept-open SMTP session of a sender, as small as a measurement allows. */
import { connect, type Socket } from "node:net";

export type Session = {
  socket: Socket;
  /** Sends a line and gives the reply; "" when the server hung up. */
  say(line: string): Promise<string>;
  /** One message; gives the reply to its end. The envelope is pipelined. */
  deliver(from: string, to: string, message: Uint8Array): Promise<string>;
  /** From here on the socket is the caller's. */
  beginData(from: string, to: string): Promise<void>;
  reply(): Promise<string>;
  quit(): void;
};

/** Resolves after EHLO. Throws when the server greets with anything but 220. */
export async function openSession(port: number, localAddress = "127.0.0.1"): Promise<Session> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  socket.setNoDelay(true);
  let buffered = "";
  let isClosed = false;
  let wake = () => {};
  socket.on("data", (chunk: Buffer) => {
    buffered += chunk.toString("latin1");
    wake();
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    isClosed = true;
    wake();
  });
  async function reply(): Promise<string> {
    for (;;) {
      const whole = /^(?:\d{3}-[^\n]*\n)*\d{3}[ \r][^\n]*\n/.exec(buffered)?.[0];
      if (whole !== undefined) {
        buffered = buffered.slice(whole.length);
        return whole;
      }
      if (isClosed) return "";
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const say = (line: string) => {
    socket.write(`${line}\r\n`);
    return reply();
  };
  async function beginData(from: string, to: string): Promise<void> {
    socket.write(`MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`);
    const replies = [await reply(), await reply(), await reply()];
    if (!replies[2]?.startsWith("354"))
      throw new Error(`the port did not take a message: ${replies.join(" ")}`);
  }
  const greeting = await reply();
  if (!greeting.startsWith("220")) {
    socket.destroy();
    throw new Error(`the port greeted with ${JSON.stringify(greeting)}`);
  }
  await say("EHLO sender.test");
  return {
    socket,
    say,
    beginData,
    reply,
    async deliver(from, to, message) {
      await beginData(from, to);
      socket.write(message);
      socket.write("\r\n.\r\n");
      return await reply();
    },
    quit() {
      socket.end("QUIT\r\n");
    },
  };
}
