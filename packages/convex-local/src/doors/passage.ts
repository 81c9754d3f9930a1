import type { Socket } from "bun";
import { HttpProblem } from "../http/problem.ts";
import { Outlet } from "./outlet.ts";
import { refusalText, responseText } from "./refusal.ts";
import { type RequestHead, RequestReader } from "./request.ts";
import { ResponseReader } from "./response.ts";

/** How long a client may take; everything in milliseconds. */
export type Patience = {
  /** How often all of it is looked at. */
  lookMs: number;
  /** From the first byte of a request's head to its last. */
  headMsMax: number;
  /** Without a byte of a body that was announced. */
  bodyGapMsMax: number;
  /** A body that is slower than `bodyBytesPerSecondMin` on the whole has this long. */
  bodySlowMsMax: number;
  bodyBytesPerSecondMin: number;
  /** Between requests. */
  idleMsMax: number;
  /** Without taking a byte of an answer. */
  unreadMsMax: number;
  /** From the end of a connection to the engine until that is known to have ended too. */
  orphanMsMax: number;
  /** Until the client closes a connection that was ended. */
  endMsMax: number;
  /** A request waits so long for an engine that is starting. */
  startMsMax: number;
};

/** What the door tells about a request whose engine has ended. */
export type EngineEnd = {
  /** Whether a function has begun for the newest request of a passage. */
  hasBegun(passage: number): boolean;
  /** The answer for the call that was the reason; null for everybody else. */
  blame(passage: number): { code: string; message: string } | null;
};

/** The door, as a passage needs it. */
export type Surroundings = {
  patience: Patience;
  /** Whether error texts are kept from callers. */
  redact: boolean;
  /** Opens a connection to the engine, whose events go to the passage. False while there is no engine. */
  connect(passage: Passage): boolean;
  /** The line that tells the engine who is there. */
  introduction(passage: Passage): Buffer;
  /** A request begins. */
  arrive(passage: number): void;
  /** Asks for room to keep bytes of a request until it is answered. */
  keep(bytes: number): boolean;
  release(bytes: number): void;
};

type Request = {
  head: RequestHead;
  /** Everything of it that went to the engine, to send it again; null when it is too large for that. */
  kept: Buffer[] | null;
  keptBytes: number;
  isSent: boolean;
  hasBeenRepeated: boolean;
  response: ResponseReader;
};

const KEPT_BYTES_MAX = 256 * 1024;

/** Reads that change nothing may be asked again. */
const READS = /^\/api\/query(?:_ts|_at_ts|_batch)?(?:\?|$)/;
const CALLS = /^\/api\/(?:mutation|action|function|run\/[^?]*)(?:\?|$)/;

/**
 * One client's connection on its way to the engine. Bytes pass as they are; the passage knows just enough of them
 * to say which request is unanswered when the engine ends. Clients never see a connection of the engine itself:
 * it may be replaced under way.
 */
export class Passage {
  readonly number: number;
  readonly isApi: boolean;
  readonly ip: string;
  readonly #surroundings: Surroundings;
  readonly #socket: Socket<Passage>;
  readonly #client: Outlet<Passage>;
  readonly #introduction: Buffer;
  #engine: { socket: Socket<Passage>; outlet: Outlet<Passage> } | null = null;
  readonly #reader = new RequestReader();
  #request: Request | null = null;
  #isTunnel = false;
  #isClosed = false;
  /** The engine's connection has gone before its answer: perhaps the engine ends, perhaps only the connection. */
  #orphanedMs: number | null = null;
  #isPaused = false;
  #isConnecting = false;
  /** Nothing more is said to the client after what waits for it. */
  #isEnding = false;
  /** Bytes of the client that nobody has looked at. */
  #unread: Buffer | null = null;
  /** For the engine, as soon as there is a connection. */
  #outgoing: Buffer[] = [];
  #sinceMs: number;
  #lastMs: number;
  #bodyBytes = 0;

  constructor(socket: Socket<Passage>, number: number, isApi: boolean, surroundings: Surroundings) {
    this.number = number;
    this.isApi = isApi;
    this.ip = socket.remoteAddress.replace(/^::ffff:/, "");
    this.#surroundings = surroundings;
    this.#socket = socket;
    this.#client = new Outlet(socket);
    this.#introduction = surroundings.introduction(this);
    this.#sinceMs = performance.now();
    this.#lastMs = this.#sinceMs;
  }

  fromClient(bytes: Buffer): void {
    if (this.#isEnding) return;
    this.#lastMs = performance.now();
    if (this.#isTunnel) {
      this.#toEngine(bytes);
      return;
    }
    this.#unread = this.#unread === null ? bytes : Buffer.concat([this.#unread, bytes]);
    this.#read();
  }

  clientDrained(): void {
    this.#lastMs = performance.now();
    if (this.#client.drained()) this.#engine?.socket.resume();
  }

  clientClosed(): void {
    this.#isClosed = true;
    this.#dropEngine();
    this.#forget();
  }

  engineOpened(socket: Socket<Passage>): void {
    this.#isConnecting = false;
    if (this.#isClosed || this.#isEnding) {
      socket.terminate();
      return;
    }
    this.#engine = { socket, outlet: new Outlet(socket) };
    const waiting = this.#outgoing;
    this.#outgoing = [];
    if (waiting.length > 0) this.#toEngine(Buffer.concat(waiting));
  }

  fromEngine(socket: Socket<Passage>, bytes: Buffer): void {
    if (socket !== this.#engine?.socket) return;
    this.#request?.response.feed(bytes);
    if (!this.#client.write(bytes)) socket.pause();
    this.#finishAnswered();
  }

  engineDrained(socket: Socket<Passage>): void {
    if (socket === this.#engine?.socket && this.#engine.outlet.drained()) this.#resumeClient();
  }

  engineClosed(socket: Socket<Passage>): void {
    if (socket !== this.#engine?.socket) return;
    this.#engine = null;
    const isUnanswered = this.#request !== null && !this.#request.response.hasBegun;
    if (isUnanswered) this.#orphanedMs = performance.now();
    // Between requests nobody needs it; the next one opens another.
    else if (this.#request !== null || this.#isTunnel) this.#end();
  }

  /** The engine could not be reached, because it is ending or very busy. */
  engineRefused(): void {
    this.#isConnecting = false;
  }

  /** There is an engine again. */
  engineStarted(): void {
    this.#connect();
  }

  engineEnded(end: EngineEnd): void {
    const request = this.#request;
    this.#dropEngine();
    this.#orphanedMs = null;
    this.#isConnecting = false;
    if (this.#isTunnel || request?.response.hasBegun === true) {
      this.#socket.terminate();
      return;
    }
    if (request === null) return;
    const blame = end.blame(this.number);
    if (blame !== null) {
      this.#blame(request.head, blame);
      return;
    }
    const mayRepeat =
      isRead(request.head) || (isCall(request.head, this.isApi) && !end.hasBegun(this.number));
    if (!mayRepeat || request.kept === null || request.hasBeenRepeated) {
      this.#refuse(
        new HttpProblem(
          503,
          "EngineRestarted",
          "The deployment was restarted; whether this request has taken effect is not known",
        ),
      );
      return;
    }
    request.hasBeenRepeated = true;
    this.#outgoing = [...request.kept];
    this.#sinceMs = performance.now();
  }

  /** The door closes: the client gets what is there, and no more. */
  dismiss(): void {
    if (!this.#isEnding) this.#end();
  }

  /** Called now and then: ends what takes too long. */
  tick(nowMs: number): void {
    const { patience } = this.#surroundings;
    if (this.#isEnding) {
      if (nowMs - this.#lastMs > patience.endMsMax) this.#socket.terminate();
      return;
    }
    if (this.#client.isBlocked) {
      if (nowMs - this.#lastMs > patience.unreadMsMax) this.#socket.terminate();
      return;
    }
    if (this.#orphanedMs !== null) {
      // The engine lives, and has closed this one connection without a word.
      if (nowMs - this.#orphanedMs > patience.orphanMsMax) this.#end();
      return;
    }
    if (this.#isTunnel) return;
    if (this.#outgoing.length > 0 && this.#engine === null) {
      if (nowMs - this.#sinceMs > patience.startMsMax) {
        this.#refuse(
          new HttpProblem(503, "EngineStarting", "The deployment is starting; try again in a moment"),
        );
      } else {
        this.#connect();
      }
      return;
    }
    if (this.#request !== null) this.#tickRequest(this.#request, nowMs);
    else if (this.#reader.isIdle) {
      if (nowMs - this.#lastMs > patience.idleMsMax) this.#end();
    } else if (nowMs - this.#sinceMs > patience.headMsMax) {
      this.#refuse(new HttpProblem(408, "HeadTooSlow", "The head of the request did not arrive in time"));
    }
  }

  #tickRequest(request: Request, nowMs: number): void {
    if (request.isSent || this.#isPaused) return;
    const { bodyGapMsMax, bodySlowMsMax, bodyBytesPerSecondMin } = this.#surroundings.patience;
    const bodyMs = nowMs - this.#sinceMs;
    const isSlow = bodyMs > bodySlowMsMax && (this.#bodyBytes / bodyMs) * 1000 < bodyBytesPerSecondMin;
    if (isSlow || nowMs - this.#lastMs > bodyGapMsMax) {
      this.#refuse(new HttpProblem(408, "BodyTooSlow", "The body of the request did not arrive in time"));
    }
  }

  /** Sends on what the client has sent, request by request: the next one waits until the last is answered. */
  #read(): void {
    const out: Buffer[] = [];
    try {
      while (this.#unread !== null && this.#unread.length > 0) {
        if (this.#request?.isSent === true) {
          this.#pauseClient();
          break;
        }
        const wasIdle = this.#reader.isIdle;
        const taken = this.#reader.take(this.#unread);
        if (wasIdle) this.#sinceMs = this.#lastMs;
        if (taken === null) {
          this.#unread = null;
          break;
        }
        this.#unread = taken.rest;
        this.#take(taken.piece, out);
      }
    } catch (error) {
      if (!(error instanceof HttpProblem)) throw error;
      this.#refuse(error);
      return;
    }
    if (this.#unread?.length === 0) this.#unread = null;
    if (out.length === 0) return;
    const bytes = Buffer.concat(out);
    this.#keep(bytes);
    this.#toEngine(bytes);
    // The engine may have answered before it had everything.
    this.#finishAnswered();
  }

  #take(piece: NonNullable<ReturnType<RequestReader["take"]>>["piece"], out: Buffer[]): void {
    if (piece.type === "head") {
      const { head } = piece;
      this.#surroundings.arrive(this.number);
      this.#request = {
        head,
        kept: [],
        keptBytes: 0,
        isSent: false,
        hasBeenRepeated: false,
        response: new ResponseReader(head.method),
      };
      this.#bodyBytes = 0;
      this.#sinceMs = this.#lastMs;
      out.push(head.line, this.#introduction, head.fields);
    } else {
      this.#bodyBytes += piece.bytes.length;
      out.push(piece.bytes);
    }
    if (piece.isLast && this.#request !== null) this.#request.isSent = true;
  }

  #toEngine(bytes: Buffer): void {
    if (this.#engine === null) {
      this.#outgoing.push(bytes);
      this.#pauseClient();
      this.#connect();
      return;
    }
    if (this.#engine.outlet.write(bytes)) this.#resumeClient();
    else this.#pauseClient();
  }

  #connect(): void {
    if (this.#isConnecting || this.#engine !== null || this.#outgoing.length === 0) return;
    this.#isConnecting = this.#surroundings.connect(this);
  }

  #keep(bytes: Buffer): void {
    const request = this.#request;
    if (request === null || request.kept === null) return;
    if (request.keptBytes + bytes.length > KEPT_BYTES_MAX || !this.#surroundings.keep(bytes.length)) {
      this.#surroundings.release(request.keptBytes);
      request.kept = null;
      request.keptBytes = 0;
      return;
    }
    request.kept.push(bytes);
    request.keptBytes += bytes.length;
  }

  /** Goes on to what comes after a request, if it has its answer. */
  #finishAnswered(): void {
    const request = this.#request;
    if (request === null || !request.isSent || !request.response.isComplete) return;
    this.#isTunnel = request.response.isUpgrade;
    this.#forget();
    this.#lastMs = performance.now();
    if (!this.#isTunnel && (request.head.isLast || request.response.isLast)) {
      this.#end();
      return;
    }
    this.#resumeClient();
    const early = this.#unread;
    if (early === null) return;
    if (!this.#isTunnel) this.#read();
    else {
      this.#unread = null;
      this.#toEngine(early);
    }
  }

  #forget(): void {
    if (this.#request !== null) this.#surroundings.release(this.#request.keptBytes);
    this.#request = null;
  }

  #pauseClient(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resumeClient(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#lastMs = performance.now();
    this.#socket.resume();
  }

  #dropEngine(): void {
    const engine = this.#engine;
    this.#engine = null;
    engine?.socket.terminate();
  }

  #blame({ target, origin }: RequestHead, { code, message }: { code: string; message: string }): void {
    const isCallOrRead = this.isApi && !target.startsWith("/http/");
    if (!isCallOrRead) {
      const text = this.#surroundings.redact
        ? "Your request couldn't be completed. Try again later."
        : message;
      this.#endWith(responseText(500, { code, message: text }, origin));
      return;
    }
    const head = `[Request ID: ${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}] Server Error`;
    const errorMessage = this.#surroundings.redact ? head : `${head}\n${code}: ${message}`;
    this.#endWith(responseText(200, { status: "error", errorMessage, logLines: [] }, origin));
  }

  #refuse(refusal: HttpProblem): void {
    const hasBegun = this.#request?.response.hasBegun === true;
    this.#dropEngine();
    if (hasBegun) this.#socket.terminate();
    else this.#endWith(refusalText(refusal, this.#request?.head.origin ?? null));
  }

  /** The last words to this client. */
  #endWith(text: string): void {
    this.#client.write(Buffer.from(text));
    this.#end();
  }

  #end(): void {
    this.#dropEngine();
    this.#forget();
    this.#unread = null;
    this.#outgoing = [];
    this.#isEnding = true;
    this.#lastMs = performance.now();
    // What the client still sends is read and dropped, or it would never see the end.
    this.#resumeClient();
    this.#client.end();
  }
}

const isRead = ({ method, target }: RequestHead): boolean =>
  READS.test(target) || ((method === "GET" || method === "HEAD") && target.startsWith("/api/"));

/** Requests that do nothing but run a function: unless one has begun, nothing has happened. */
const isCall = ({ target }: RequestHead, isApi: boolean): boolean =>
  !isApi || target.startsWith("/http/") || CALLS.test(target);
