import type { Socket, TCPSocketListener } from "bun";
import { HttpProblem } from "../http/problem.ts";
import { PASSAGES_MAX } from "../watchdog/board.ts";
import { type EngineEnd, Passage, type Patience, type Surroundings } from "./passage.ts";
import { refusalText } from "./refusal.ts";

export type DoorOptions = {
  host: string;
  /** 0 takes a free port. */
  port: number;
  sitePort: number;
  /** Clients beyond this are refused; each takes two descriptors here and one in the engine. */
  connectionsMax: number;
  redact: boolean;
  /** The name of the header field by which the engine learns who is there; clients must not be able to guess it. */
  field: string;
  patience?: Partial<Patience>;
};

/** Where an engine listens. */
export type Engine = {
  apiSocket: string;
  siteSocket: string;
  arrive(passage: number): void;
};

const PATIENCE: Patience = {
  lookMs: 500,
  headMsMax: 15_000,
  bodyGapMsMax: 30_000,
  bodySlowMsMax: 60_000,
  bodyBytesPerSecondMin: 512,
  idleMsMax: 75_000,
  unreadMsMax: 60_000,
  orphanMsMax: 5000,
  endMsMax: 5000,
  startMsMax: 15_000,
};
const REFUSED_SECONDS_MAX = 5;
/** Requests that are kept to be sent again, all together. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

const TOO_MANY = refusalText(
  new HttpProblem(503, "TooManyConnections", "Too many clients are connected, try again later"),
);

/**
 * The public ports. They belong to a process that runs no functions, so they are answered whatever a function does.
 * Slow and odd clients end here; what passes goes to the engine over a Unix socket.
 */
export class Door {
  readonly #options: DoorOptions;
  readonly #patience: Patience;
  readonly #passages = new Set<Passage>();
  readonly #freeNumbers: number[];
  readonly #listeners: TCPSocketListener<Passage>[];
  readonly #ticks: ReturnType<typeof setInterval>;
  #engine: Engine | null = null;
  #keptBytes = 0;
  #emptied = () => {};

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#patience = { ...PATIENCE, ...options.patience };
    const connectionsMax = Math.min(options.connectionsMax, PASSAGES_MAX);
    this.#freeNumbers = Array.from({ length: connectionsMax }, (_, index) => connectionsMax - 1 - index);
    this.#listeners = [this.#listen(options.port, true), this.#listen(options.sitePort, false)];
    this.#ticks = setInterval(() => {
      const nowMs = performance.now();
      for (const passage of this.#passages) passage.tick(nowMs);
    }, this.#patience.lookMs);
  }

  get port(): number {
    return this.#listeners[0]?.port ?? 0;
  }

  get sitePort(): number {
    return this.#listeners[1]?.port ?? 0;
  }

  get connections(): number {
    return this.#passages.size;
  }

  /** An engine is ready: what has waited goes to it. */
  engineStarted(engine: Engine): void {
    this.#engine = engine;
    for (const passage of this.#passages) passage.engineStarted();
  }

  /** The engine has ended: everybody who waits for it gets an answer, or waits for the next. */
  engineEnded(end: EngineEnd): void {
    this.#engine = null;
    for (const passage of [...this.#passages]) passage.engineEnded(end);
  }

  /** Lets nobody in any more; those inside may finish. */
  close(): void {
    for (const listener of this.#listeners) listener.stop();
  }

  /** Ends connections after what they wait for; resolves when the last client has gone. */
  dismiss(): Promise<void> {
    for (const passage of [...this.#passages]) passage.dismiss();
    if (this.#passages.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** Ends everything. */
  end(): void {
    clearInterval(this.#ticks);
    for (const listener of this.#listeners) listener.stop(true);
  }

  #listen(port: number, isApi: boolean): TCPSocketListener<Passage> {
    const surroundings = this.#surroundings();
    return Bun.listen<Passage>({
      hostname: this.#options.host,
      port,
      socket: {
        open: (socket) => {
          const number = this.#freeNumbers.pop();
          if (number === undefined) {
            socket.timeout(REFUSED_SECONDS_MAX);
            socket.end(TOO_MANY);
            return;
          }
          socket.setNoDelay(true);
          socket.data = new Passage(socket, number, isApi, surroundings);
          this.#passages.add(socket.data);
        },
        data: (socket, bytes) => socket.data?.fromClient(bytes),
        drain: (socket) => socket.data?.clientDrained(),
        close: (socket) => {
          const passage = socket.data as Passage | undefined;
          if (passage === undefined || !this.#passages.delete(passage)) return;
          this.#freeNumbers.push(passage.number);
          passage.clientClosed();
          if (this.#passages.size === 0) this.#emptied();
        },
        timeout: (socket) => {
          socket.terminate();
        },
        error: (socket) => {
          socket.terminate();
        },
      },
    });
  }

  #surroundings(): Surroundings {
    return {
      patience: this.#patience,
      redact: this.#options.redact,
      connect: (passage) => this.#connect(passage),
      introduction: ({ number, ip }) => Buffer.from(`${this.#options.field}: ${number} ${ip}\r\n`),
      arrive: (passage) => this.#engine?.arrive(passage),
      keep: (bytes) => {
        if (this.#keptBytes + bytes > KEPT_BYTES_MAX) return false;
        this.#keptBytes += bytes;
        return true;
      },
      release: (bytes) => {
        this.#keptBytes -= bytes;
      },
    };
  }

  #connect(passage: Passage): boolean {
    const engine = this.#engine;
    if (engine === null) return false;
    Bun.connect<Passage>({
      unix: passage.isApi ? engine.apiSocket : engine.siteSocket,
      data: passage,
      socket: TOWARDS_ENGINE,
    }).catch(() => {
      // The engine is ending; the passage waits for what becomes of it.
      passage.engineRefused();
    });
    return true;
  }
}

const TOWARDS_ENGINE = {
  open: (socket: Socket<Passage>) => socket.data.engineOpened(socket),
  data: (socket: Socket<Passage>, bytes: Buffer) => socket.data.fromEngine(socket, bytes),
  drain: (socket: Socket<Passage>) => socket.data.engineDrained(socket),
  close: (socket: Socket<Passage>) => socket.data.engineClosed(socket),
  error: (socket: Socket<Passage>) => {
    socket.terminate();
  },
};
