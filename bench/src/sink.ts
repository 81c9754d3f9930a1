/** Postfix's smtp-sink as the remote server of a measurement: it takes everything and counts. */
import { freePort } from "@tyto/test/parts/ports.ts";
import { until } from "@tyto/test/parts/until.ts";

export type Sink = { address: string; pid: number; received(): number; stop(): Promise<void> };

/** On `port`, or a free one. It offers PIPELINING and 8BITMIME. */
export async function startSink(port?: number): Promise<Sink> {
  return listenAt(port ?? (await freePort()));
}

async function listenAt(port: number): Promise<Sink> {
  const binary = Bun.which("smtp-sink", { PATH: `${process.env.PATH}:/usr/sbin` });
  if (binary === null) throw new Error("smtp-sink is missing: apt-get install postfix");
  // -c prints running totals; root must name a user to become.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = Bun.spawn([binary, "-c", ...user, `127.0.0.1:${port}`, "1000"], {
    stdout: "pipe",
    stderr: "ignore",
  });
  let count = 0;
  const reading = (async () => {
    const decoder = new TextDecoder();
    let tail = "";
    for await (const chunk of child.stdout) {
      tail = (tail + decoder.decode(chunk)).slice(-400);
      const last = [...tail.matchAll(/mesg=(\d+)/g)].at(-1)?.[1];
      if (last !== undefined) count = Number(last);
    }
  })();
  await until("smtp-sink listens", async () => {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(
      () => undefined,
    );
    socket?.end();
    return socket !== undefined;
  });
  return {
    address: `127.0.0.1:${port}`,
    pid: child.pid,
    received: () => count,
    async stop() {
      child.kill();
      await child.exited;
      await reading;
    },
  };
}
