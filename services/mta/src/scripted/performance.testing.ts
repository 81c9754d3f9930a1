import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Step } from "./dialog.testing.ts";
import { type Reader, reader } from "./reader.testing.ts";

/** What comes of a step: on to the next, or that was it. */
type Played = "on" | "over";
type Outcome = { faults: string[]; bodies: string[] };

/** One script, played to one connection. */
export class Performance {
  readonly #name: string;
  readonly #sockets: Set<Socket>;
  readonly #certificate: string;
  readonly #outcome: Outcome;
  #wire: Reader;

  /** `sockets` are those to be closed in the end. */
  constructor(name: string, socket: Socket, sockets: Set<Socket>, certificate: string, outcome: Outcome) {
    this.#name = name;
    this.#sockets = sockets;
    this.#certificate = certificate;
    this.#outcome = outcome;
    this.#wire = reader(socket);
  }

  async play(script: readonly Step[]): Promise<void> {
    for (const step of script) if ((await this.#playStep(step)) === "over") return;
    this.#wire.socket.end();
  }

  async #playStep({ verb, text }: Step): Promise<Played> {
    const { socket } = this.#wire;
    switch (verb) {
      case "S:":
        socket.write(`${text}\r\n`);
        return "on";
      case "raw":
        socket.write(bytesOf(text));
        return "on";
      case "slow":
        return this.#drip(bytesOf(text));
      case "deaf":
        socket.pause();
        return "on";
      case "C:":
        return this.#hear(text);
      case "B:":
        return this.#keep(await this.#wire.until("\r\n.\r\n"));
      case "BDAT":
        return this.#takeChunk();
      case "hello":
        await this.#wire.until(helloMark);
        return "on";
      case "tls":
        return this.#encrypt({});
      case "old tls":
        return this.#encrypt({ minVersion: "TLSv1", maxVersion: "TLSv1.1" });
      case "broken tls":
        // What was sent before the handshake would be thrown away.
        await this.#wire.until(helloMark);
        socket.write("this is no handshake\r\n");
        return "on";
      case "reset":
        socket.resetAndDestroy();
        return "over";
      case "stall":
        return "over";
      case "close":
        socket.end();
        return "over";
      default:
        return this.#fault(`nobody knows the step ${verb}`);
    }
  }

  async #drip(bytes: Buffer): Promise<Played> {
    for (const byte of bytes) {
      this.#wire.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return "on";
  }

  async #hear(pattern: string): Promise<Played> {
    const line = await this.#wire.until("\r\n");
    if (line === undefined) return this.#fault(`ended where ${pattern} was to come`);
    if (!matches(line, pattern)) this.#fault(`came ${JSON.stringify(line)} for ${pattern}`);
    return "on";
  }

  async #takeChunk(): Promise<Played> {
    const line = await this.#wire.until("\r\n");
    const bytes = /^BDAT (\d+) LAST$/.exec(line ?? "")?.[1];
    if (bytes === undefined) this.#fault(`came ${JSON.stringify(line)} for BDAT`);
    return this.#keep(await this.#wire.take(Number(bytes ?? 0)));
  }

  #keep(body: string | undefined): Played {
    if (body === undefined) return this.#fault("the message did not end");
    this.#outcome.bodies.push(body);
    return "on";
  }

  #encrypt(versions: { minVersion?: "TLSv1"; maxVersion?: "TLSv1.1" }): Played {
    const certificate = this.#certificate;
    const secureContext = createSecureContext({ cert: certificate, key: certificate, ...versions });
    this.#wire.detach();
    const secure = new TLSSocket(this.#wire.socket, { isServer: true, secureContext });
    this.#sockets.add(secure);
    secure.on("error", () => secure.destroy());
    this.#wire = reader(secure);
    return "on";
  }

  #fault(what: string): Played {
    this.#outcome.faults.push(`${this.#name}: ${what}`);
    return "over";
  }
}

/** A TLS record of type handshake begins so. */
const helloMark = "\x16\x03";

const bytesOf = (text: string) => Buffer.from(JSON.parse(text) as string, "latin1");

function matches(line: string, pattern: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`, "s").test(line);
}
