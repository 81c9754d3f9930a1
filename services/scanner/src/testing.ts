/** For tests: what a message looks like, a clamd that follows a script, and a real clamd that knows EICAR only. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AcceptedMessage, events, newMessageId } from "@tyto/contracts";
import { freePort } from "../../../test/parts/ports.ts";

export function sampleMessage(changes: Partial<AcceptedMessage> = {}): AcceptedMessage {
  const messageId = newMessageId();
  return events["mail.submitted"].parse({
    id: `${messageId}.submitted`,
    at: Date.now(),
    organizationId: "default",
    messageId,
    messageIdHeader: `${messageId}@example.org`,
    from: "shop@example.org",
    domain: "example.org",
    subject: "Your receipt",
    recipients: [{ address: "ann@example.com", role: "to" }],
    bodyBytes: 100,
    bodyChunks: 1,
    attachments: 1,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + 3_600_000,
    ...changes,
  });
}

/** The EICAR test file, put together here so that no scanner takes this file for one. */
export const eicar = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].join("");

export const withAttachment = (content: Uint8Array | string) =>
  Buffer.from(
    [
      "From: shop@example.org",
      "MIME-Version: 1.0",
      'Content-Type: multipart/mixed; boundary="b"',
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "Hello",
      "--b",
      'Content-Type: application/octet-stream; name="file.com"',
      "Content-Transfer-Encoding: base64",
      "",
      Buffer.from(content).toString("base64").replace(/.{76}/g, "$&\r\n"),
      "--b--",
      "",
    ].join("\r\n"),
  );

/** Waits until `condition` holds; throws after `waitMsMax`. */
export async function until(condition: () => boolean | Promise<boolean>, waitMsMax = 30_000): Promise<void> {
  for (const giveUpAtMs = Date.now() + waitMsMax; !(await condition()); await Bun.sleep(5))
    if (Date.now() > giveUpAtMs) throw new Error(`not within ${waitMsMax} ms: ${condition}`);
}

/** What a scripted clamd does with one connection; `whenAll` resolves when the whole stream has come. */
export type Script = (socket: Socket, whenAll: Promise<void>) => void;

export type FakeClamd = {
  port: number;
  script: Script;
  /** Connections that the other end has not closed. */
  open(): number;
  stop(): Promise<void>;
};

/** A scripted clamd: it knows where a stream ends, and leaves the answer to the script. */
export async function startFakeClamd(script: Script): Promise<FakeClamd> {
  const sockets = new Set<Socket>();
  const all = new Set<Socket>();
  const fake = { script } as FakeClamd;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    all.add(socket);
    socket
      .on("end", () => sockets.delete(socket))
      .on("close", () => sockets.delete(socket))
      .on("error", () => socket.destroy());
    const whenAll = new Promise<void>((resolve) => {
      let last = Buffer.alloc(0);
      socket.on("data", (part: Buffer) => {
        last = Buffer.concat([last, part]).subarray(-10);
        // A chunk of no bytes ends INSTREAM; commands end by NUL.
        if (last.subarray(-4).equals(Buffer.alloc(4)) || last.toString("latin1").endsWith("zVERSION\0"))
          resolve();
      });
    });
    fake.script(socket, whenAll);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  fake.port = address.port;
  fake.open = () => {
    // A socket that is not read does not hear that the other end hung up.
    for (const socket of sockets) socket.resume();
    return sockets.size;
  };
  fake.stop = async () => {
    for (const socket of all) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return fake;
}

/** A script that answers once everything came, and hangs up. */
export const answer =
  (reply: string): Script =>
  (socket, whenAll) =>
    void whenAll.then(() => socket.end(reply));

export type RealClamd = {
  port: number;
  pid(): number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** A private clamd of this machine with one signature, for EICAR. */
export async function startClamd(streamLengthMax = "32M"): Promise<RealClamd> {
  const program = Bun.which("clamd", { PATH: `${process.env.PATH}:/usr/sbin` });
  if (program === null) throw new Error("clamd is not installed: run the tests with `./tyto test`");
  const folder = await mkdtemp(join(tmpdir(), "tyto-clamd-"));
  const md5 = new Bun.CryptoHasher("md5").update(eicar).digest("hex");
  await Bun.write(join(folder, "db/eicar.hdb"), `${md5}:${eicar.length}:Eicar-Test-Signature\n`);
  const port = await freePort();
  await Bun.write(
    join(folder, "clamd.conf"),
    [
      `DatabaseDirectory ${join(folder, "db")}`,
      "TCPAddr 127.0.0.1",
      `TCPSocket ${port}`,
      "Foreground yes",
      `StreamMaxLength ${streamLengthMax}`,
      "MaxThreads 8",
      `TemporaryDirectory ${folder}`,
      "",
    ].join("\n"),
  );
  let clamd: Bun.Subprocess;
  const start = async () => {
    clamd = Bun.spawn([program, "-c", join(folder, "clamd.conf")], { stdout: "ignore", stderr: "ignore" });
    await until(async () => {
      if (clamd.exitCode !== null) throw new Error(`clamd ended with ${clamd.exitCode}`);
      return isListening(port);
    });
  };
  const kill = async () => {
    clamd.kill("SIGKILL");
    await clamd.exited;
  };
  await start();
  return {
    port,
    pid: () => clamd.pid,
    kill,
    restart: start,
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const isListening = (port: number): Promise<boolean> =>
  Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false, // Refused: not yet.
  );
