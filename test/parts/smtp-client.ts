/** Hands one message to an SMTP server, as a plain remote server would; resolves with the reply to the final dot. */
import { connect } from "node:net";

export async function deliver(
  port: number,
  envelope: { from: string; to: string },
  message: string | Uint8Array,
): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  let wake = () => {};
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    wake();
  });
  const ended = new Promise<never>((_, reject) => {
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`the server hung up after ${received.slice(-200)}`)));
  });
  ended.catch(() => undefined);
  /** The next whole reply; the last line of one has a space behind its code. */
  const reply = async (expected: RegExp): Promise<string> => {
    for (;;) {
      const whole = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(received)?.[0];
      if (whole !== undefined) {
        received = received.slice(whole.length);
        if (!expected.test(whole)) throw new Error(`the server answered ${whole}`);
        return whole.trim();
      }
      const news = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await Promise.race([news, ended]);
    }
  };
  try {
    await reply(/^2/);
    for (const [line, expected] of [
      ["EHLO mx.remote.test", /^2/],
      [`MAIL FROM:<${envelope.from}>`, /^2/],
      [`RCPT TO:<${envelope.to}>`, /^2/],
      ["DATA", /^3/],
    ] as const) {
      socket.write(`${line}\r\n`);
      await reply(expected);
    }
    const text = typeof message === "string" ? message : Buffer.from(message).toString("latin1");
    const lines = text.replace(/\r?\n/g, "\r\n").replace(/^\./gm, "..");
    socket.write(Buffer.from(`${lines}${lines.endsWith("\r\n") ? "" : "\r\n"}.\r\n`, "latin1"));
    return await reply(/^\d/);
  } finally {
    socket.end("QUIT\r\n");
  }
}
