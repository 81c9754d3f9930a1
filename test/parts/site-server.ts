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

/** What is counted of all connections. */
class Account {
  readonly open = new Gauge();
  readonly busy = new Gauge();
  readonly byName = new Map<string, number>();
  readonly takenMs: number[] = [];
  openMax = 0;

  enter(): void {
    this.open.add(1);
    this.openMax = Math.max(this.openMax, this.open.value);
  }
  count(name: string, how: 1 | -1): void {
    if (name !== "") this.byName.set(name, (this.byName.get(name) ?? 0) + how);
  }
}

const endOfLine = "\r\n";
const endOfData = "\r\n.\r\n";

/** One connection, from greeting to QUIT. */
class Conversation {
  readonly #socket: Socket;
  readonly #account: Account;
  readonly #answerMs: number;
  #buffered = "";
  #name = "";
  #isHere = true;
  #isInData = false;
  #isBusy = false;
  #isAnswering = false;

  constructor(socket: Socket, account: Account, answerMs: number) {
    this.#socket = socket;
    this.#account = account;
    this.#answerMs = answerMs;
    account.enter();
    socket.on("close", () => this.#leave());
    // A process that is killed resets its connections; that is what is measured.
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      this.#buffered += chunk.toString("latin1");
      this.#read();
    });
    this.#say("220 sink.test ESMTP");
  }

  /** What was pipelined behind a message waits until that is answered. */
  #read(): void {
    while (!this.#isAnswering) {
      const ending = this.#isInData ? endOfData : endOfLine;
      const end = this.#buffered.indexOf(ending);
      if (end === -1) return;
      const text = this.#buffered.slice(0, end);
      this.#buffered = this.#buffered.slice(end + ending.length);
      if (this.#isInData) this.#take();
      else this.#obey(text);
    }
  }

  #obey(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO") {
      this.#greet(line.slice(5).trim());
    } else if (verb === "QUIT") {
      // With its reply a server is done with a connection, whenever the other end closes it.
      this.#leave();
      this.#socket.end(`221 2.0.0 Bye${endOfLine}`);
    } else {
      if (verb === "MAIL") this.#setBusy(true);
      if (verb === "RSET") this.#setBusy(false);
      this.#isInData = verb === "DATA";
      this.#say(this.#isInData ? "354 Go on" : "250 2.0.0 Ok");
    }
  }

  #greet(name: string): void {
    this.#account.count(this.#name, -1);
    this.#name = name;
    this.#account.count(name, 1);
    this.#say(`250-sink.test${endOfLine}250-PIPELINING${endOfLine}250 8BITMIME`);
  }

  #take(): void {
    this.#isAnswering = true;
    this.#isInData = false;
    setTimeout(() => {
      this.#account.takenMs.push(performance.now());
      this.#say("250 2.0.0 Taken");
      this.#setBusy(false);
      this.#isAnswering = false;
      this.#read();
    }, this.#answerMs);
  }

  #leave(): void {
    if (!this.#isHere) return;
    this.#isHere = false;
    this.#account.open.add(-1);
    this.#setBusy(false);
    this.#account.count(this.#name, -1);
  }

  #setBusy(isBusy: boolean): void {
    if (this.#isBusy !== isBusy) this.#account.busy.add(isBusy ? 1 : -1);
    this.#isBusy = isBusy;
  }

  #say(reply: string): void {
    if (this.#socket.writable) this.#socket.write(`${reply}${endOfLine}`);
  }
}

/** Takes `answerMs` for each message, between its final dot and the reply. It offers PIPELINING. */
export async function startSiteServer(answerMs: number): Promise<SiteServer> {
  const account = new Account();
  const { open, busy, byName, takenMs } = account;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    new Conversation(socket, account, answerMs);
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
      const most = account.openMax;
      account.openMax = open.value;
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
