import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Random } from "./draws.testing.ts";
import { digestOf, type Fate, isReply, remember } from "./fate.testing.ts";
import { Gone, Reader } from "./reader.testing.ts";
import { createVoice, type Voice } from "./voice.testing.ts";

export const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

const extensions = ["PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000000", "DSN", "STARTTLS"];

/** One session of the hostile server: what it does at each step is drawn. */
export class Conversation {
  #socket: Socket;
  #read: Reader;
  #random: Random;
  #voice: Voice;
  #fates: Map<number, Fate>;
  #secureContext: SecureContext;
  /** How many of a hundred replies are not what they should be. */
  #malice: number;
  #offers: string[];
  #isSecure = false;
  #isTalkative = false;
  /** Of the message under way. */
  #fate: Fate | undefined;

  constructor(socket: Socket, random: Random, fates: Map<number, Fate>, secureContext: SecureContext) {
    this.#socket = socket;
    this.#read = new Reader(socket);
    this.#random = random;
    this.#voice = createVoice(random);
    this.#fates = fates;
    this.#secureContext = secureContext;
    this.#malice = [0, 3, 10, 30][random(4)] ?? 0;
    this.#offers = extensions.filter((keyword) => random(keyword === "STARTTLS" ? 8 : 2) === 0);
  }

  /** Resolves behind QUIT; throws Gone when the session ends in another way. */
  async run(): Promise<void> {
    await this.#say(220);
    for (;;) {
      const line = await this.#read.line();
      const verb = line.slice(0, 4).toUpperCase();
      await this.#obey(verb, line);
      if (verb === "QUIT") return;
    }
  }

  async #obey(verb: string, line: string): Promise<unknown> {
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.#greet(verb);
      case "STAR":
        return this.#encrypt();
      case "MAIL":
        return this.#begin(line);
      case "RCPT":
      case "RSET":
        return this.#say(250);
      case "DATA":
        return this.#takeDotted();
      case "BDAT":
        return this.#takeChunk(line);
      case "QUIT":
        await this.#say(221);
        return this.#socket.end();
      default:
        return this.#say(500);
    }
  }

  async #greet(verb: string) {
    if (verb !== "EHLO" || this.#random(100) < this.#malice) return this.#say(250);
    const shown = this.#isSecure ? this.#offers.filter((keyword) => keyword !== "STARTTLS") : this.#offers;
    const lines = ["250-hostile.test", ...shown.map((keyword) => `250-${keyword}`), "250 HELP", ""];
    return this.#tell(lines.join(this.#voice.lineEnd));
  }

  async #encrypt(): Promise<void> {
    const random = this.#random;
    if (random(4) === 0) return void (await this.#say(454));
    // What is injected behind the reply must never be taken for an answer under TLS.
    await this.#tell(`220 go\r\n${random(3) === 0 ? "250 injected\r\n".repeat(1 + random(7)) : ""}`);
    if (random(4) === 0) {
      await this.#tell(this.#voice.junk());
      if (random(2) === 0) this.#socket.end();
      throw new Gone();
    }
    this.#read.letGo();
    const secure = new TLSSocket(this.#socket, { isServer: true, secureContext: this.#secureContext });
    secure.on("error", () => secure.destroy());
    this.#socket = secure;
    this.#read = new Reader(secure);
    this.#isSecure = true;
  }

  async #begin(line: string) {
    this.#fate = {
      said: "",
      isTalkative: this.#isTalkative,
      isPrecocious: false,
      isChunked: this.#offers.includes("CHUNKING"),
    };
    this.#fates.set(Number(/<b-(\d+)@/.exec(line)?.[1]), this.#fate);
    await this.#say(250);
  }

  async #takeDotted(): Promise<void> {
    const { lineEnd } = this.#voice;
    if (this.#fate !== undefined && this.#random(100) < this.#malice && this.#random(4) === 0) {
      this.#talk();
      this.#fate.isPrecocious = true;
      this.#socket.write(`354 go${lineEnd}250 accepted already${lineEnd}`);
      return void (await this.#read.message());
    }
    if (!isReply(await this.#say(354), 3)) return;
    const body = await this.#read.message();
    await this.#answer(body.slice(0, -3).replace(/(^|\n)\.\./g, "$1."));
  }

  async #takeChunk(line: string) {
    const bytes = Number(/^BDAT (\d+) LAST\r\n$/.exec(line)?.[1] ?? 0);
    await this.#answer(await this.#read.bytes(bytes));
  }

  async #answer(body: string): Promise<void> {
    const fate = this.#fate;
    if (fate === undefined) return void (await this.#say(503));
    fate.body = digestOf(body);
    fate.answer = await this.#say(250);
  }

  /** Says what is due, or something else; what was said, when it was said to its end. */
  async #say(code: number): Promise<string> {
    const due = this.#voice.reply(code);
    if (this.#random(100) >= this.#malice) return this.#tell(due);
    switch (this.#random(9)) {
      case 0:
        return this.#tell(this.#voice.otherReply([421, 450, 451, 452, 500, 503, 550, 552, 554]));
      case 1:
      case 2:
        this.#talk();
        return this.#tell(this.#voice.junk());
      case 3:
        this.#talk();
        return this.#tell(this.#voice.otherReply([250, 354, 220, 221, 250]));
      case 4:
        return this.#sayMore(due);
      case 5:
        await this.#tell(due.slice(0, this.#random(due.length)));
        return this.#leave(this.#random(2) === 0);
      case 6:
        return this.#leave(true);
      case 7:
        return this.#leave(false);
      default:
        // Silence until the client gives up.
        for (;;) await this.#read.line();
    }
  }

  /** More than was asked for: in the same write, or later. */
  async #sayMore(due: string): Promise<string> {
    this.#talk();
    const extra = this.#voice.otherReply([250, 250, 354, 550, 421]);
    if (this.#random(2) === 0) return this.#tell(due + extra);
    await this.#tell(due);
    await tick();
    await this.#tell(extra);
    return due;
  }

  #leave(isPolite: boolean): never {
    if (isPolite) this.#socket.end();
    else this.#socket.resetAndDestroy();
    throw new Gone();
  }

  #talk() {
    this.#isTalkative = true;
    if (this.#fate !== undefined) this.#fate.isTalkative = true;
  }

  /** In pieces, if the seed wants so. */
  async #tell(text: string): Promise<string> {
    const random = this.#random;
    if (this.#fate !== undefined) remember(this.#fate, text);
    if (random(5) > 0) {
      this.#socket.write(Buffer.from(text, "latin1"));
      return text;
    }
    for (let at = 0; at < text.length; ) {
      if (this.#socket.destroyed) throw new Gone();
      const size = 1 + random(random(2) === 0 ? 3 : 40);
      this.#socket.write(Buffer.from(text.slice(at, at + size), "latin1"));
      at += size;
      if (random(3) === 0) await tick();
    }
    return text;
  }
}
