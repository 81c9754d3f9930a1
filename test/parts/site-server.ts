/** A mail server that takes everything, and keeps account of its connections and of when messages came. */
import { createServer, type Socket } from "node:net";

export type SiteServer = {
  /** As the mta names it: `127.0.0.1=2526`. */
  name: string;
  address: string;
  open(): number;
  /** Connections of those who call themselves so in EHLO. */
  openOf(name: string): number;
  /** The most that were open at one moment since this was asked last. */
  openMax(): number;
  /** Seconds of connections up to now, in sum: open ones, and those with a message on its way. */
  used(): { atMs: number; openS: number; busyS: number };
  /** When each message was taken; `performance.now()`. */
  takenMs: readonly number[];
  stop(): Promise<void>;
};

/** A number over time, and its integral. */
class Gauge {
  #value = 0;
  #sumMs = 0;
  #sinceMs = performance.now();
  get value(): number {
    return this.#value;
  }
  add(amount: number): void {
    this.#settle();
    this.#value += amount;
  }
  seconds(): number {
    this.#settle();
    return this.#sumMs / 1_000;
  }
  #settle(): void {
    const nowMs = performance.now();
    this.#sumMs += this.#value * (nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }
}

const endOfLine = "\r\n";
const endOfData = "\r\n.\r\n";

/** Takes `answerMs` for each message, between its final dot and the reply. It offers PIPELINING. */
export async function startSiteServer(answerMs: number): Promise<SiteServer> {
  const [open, busy] = [new Gauge(), new Gauge()];
  const byName = new Map<string, number>();
  const takenMs: number[] = [];
  const sockets = new Set<Socket>();
  let openMax = 0;

  const server = createServer((socket) => {
    let [buffered, name] = ["", ""];
    let [isInData, isBusy, isAnswering] = [false, false, false];
    const say = (reply: string) => socket.writable && socket.write(`${reply}${endOfLine}`);
    const count = (how: 1 | -1) => name !== "" && byName.set(name, (byName.get(name) ?? 0) + how);
    const setBusy = (next: boolean) => {
      if (isBusy !== next) busy.add(next ? 1 : -1);
      isBusy = next;
    };
    const greet = (line: string) => {
      count(-1);
      name = line.slice(5).trim();
      count(1);
      say(`250-sink.test${endOfLine}250-PIPELINING${endOfLine}250 8BITMIME`);
    };
    const take = () => {
      isAnswering = true;
      isInData = false;
      setTimeout(() => {
        takenMs.push(performance.now());
        say("250 2.0.0 Taken");
        setBusy(false);
        isAnswering = false;
        read();
      }, answerMs);
    };
    const obey = (line: string) => {
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "EHLO") return greet(line);
      if (verb === "QUIT") {
        // With its reply a server is done with a connection, whenever the other end closes it.
        leave();
        socket.end(`221 2.0.0 Bye${endOfLine}`);
        return;
      }
      if (verb === "MAIL") setBusy(true);
      if (verb === "RSET") setBusy(false);
      isInData = verb === "DATA";
      say(isInData ? "354 Go on" : "250 2.0.0 Ok");
    };
    const read = () => {
      // What was pipelined behind a message waits until that is answered.
      while (!isAnswering) {
        const ending = isInData ? endOfData : endOfLine;
        const end = buffered.indexOf(ending);
        if (end === -1) return;
        const text = buffered.slice(0, end);
        buffered = buffered.slice(end + ending.length);
        if (isInData) take();
        else obey(text);
      }
    };

    sockets.add(socket);
    open.add(1);
    openMax = Math.max(openMax, open.value);
    const leave = () => {
      if (!sockets.delete(socket)) return;
      open.add(-1);
      setBusy(false);
      count(-1);
    };
    socket.on("close", leave);
    // A process that is killed resets its connections; that is what is measured.
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      buffered += chunk.toString("latin1");
      read();
    });
    say("220 sink.test ESMTP");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    name: `127.0.0.1=${address.port}`,
    address: `127.0.0.1:${address.port}`,
    open: () => open.value,
    openOf: (name) => byName.get(name) ?? 0,
    openMax() {
      const most = openMax;
      openMax = open.value;
      return most;
    },
    used: () => ({ atMs: performance.now(), openS: open.seconds(), busyS: busy.seconds() }),
    takenMs,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Of times in their order: the most that lie within any `windowMs`. */
export function mostWithin(timesMs: readonly number[], windowMs: number): number {
  let [from, most] = [0, 0];
  for (const [index, atMs] of timesMs.entries()) {
    while ((timesMs[from] ?? atMs) <= atMs - windowMs) from++;
    most = Math.max(most, index - from + 1);
  }
  return most;
}

/** The most that ever came beyond a steady rate: how full a bucket gets that leaks `perS`. */
export function mostBeyond(timesMs: readonly number[], perS: number): number {
  let [level, most, lastMs] = [0, 0, 0];
  for (const atMs of timesMs) {
    level = Math.max(0, level - ((atMs - lastMs) * perS) / 1_000) + 1;
    most = Math.max(most, level);
    lastMs = atMs;
  }
  return most;
}
