/**
 * clamd through clamdjs, made safe. clamdjs has one bound, the time to the first byte of the answer, and never closes
 * a connection itself. Here every scan ends by a deadline, and its connection ends with it.
 */
import { Readable } from "node:stream";
import clamdjs from "clamdjs";
import { type Outcome, outcomeOf, outcomeOfError } from "./outcome.ts";

export type Clamd = {
  /** Never rejects; at the latest after `deadlineMs` it is `failed`. */
  scan(bytes: Uint8Array, deadlineMs: number): Promise<Outcome>;
  /** `ClamAV 1.4.6/27123/…`, or `undefined` when clamd does not say within `deadlineMs`. */
  version(deadlineMs: number): Promise<string | undefined>;
};

const chunkBytes = 65_536;
const versionCharsMax = 100;

export function createClamd(host: string, port: number): Clamd {
  const scanner = clamdjs.createScanner(host, port);
  let asked: Promise<string | undefined> | undefined;
  return {
    async scan(bytes, deadlineMs) {
      const connection = new Connection();
      const answered = scanner
        .scanStream(connection.source(bytes), deadlineMs)
        .then(outcomeOf, outcomeOfError);
      const outcome = await within(deadlineMs, answered);
      connection.end();
      return outcome ?? { kind: "failed", why: `no answer within ${deadlineMs} ms` };
    },
    async version(deadlineMs) {
      // clamdjs cannot be made to hang up on a hung clamd here, so at most one question waits for it.
      asked ??= clamdjs
        .version(host, port)
        .then(
          (text) =>
            text
              .replace(/\p{Cc}+/gu, " ")
              .trim()
              .slice(0, versionCharsMax) || undefined,
        )
        .catch(() => undefined) // No answer is an answer: scans say what is wrong.
        .finally(() => {
          asked = undefined;
        });
      return within(deadlineMs, asked);
    },
  };
}

/**
 * One scan's way to clamd. clamdjs keeps its socket to itself, but pipes what it is given through a framing stream
 * into it; so the framing's `pipe` tells the socket. Until it is connected, clamdjs's own timer ends it.
 */
class Connection {
  #socket: { destroy(): unknown } | undefined;
  #ended = false;

  source(bytes: Uint8Array): Readable {
    const source = Readable.from(chunks(bytes), { objectMode: false });
    const pipeSource = source.pipe.bind(source);
    const take = (socket: { destroy(): unknown }) => {
      this.#socket = socket;
      if (this.#ended) socket.destroy();
    };
    source.pipe = (framing, options) => {
      if (framing instanceof Readable) {
        const pipeFraming = framing.pipe.bind(framing);
        framing.pipe = (socket, how) => {
          if ("destroy" in socket && typeof socket.destroy === "function") take(socket as never);
          return pipeFraming(socket, how);
        };
      }
      return pipeSource(framing, options);
    };
    return source;
  }

  end(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }
}

function* chunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

async function within<T>(deadlineMs: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, undefined);
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
}
