import { rmSync, writeFileSync } from "node:fs";

/**
 * What the engine is doing at this moment, in memory that it shares with the process that watches it. Nothing is
 * sent: a store costs the engine nanoseconds, and the watcher can read it while the engine hears nobody.
 */
export type Doing = {
  kind: string;
  path: string;
  /** Says which arguments, so that the same call is known again. */
  hash: string;
  /** The passage through the door by which the call came; -1 when it came another way. */
  passage: number;
};

/** Passages that can be told apart; the door lets no more in at once. */
export const PASSAGES_MAX = 16_384;
/** Actions that are noted; the engine runs no more than this at once. */
const ACTIONS_MAX = 256;
const ENTRY_BYTES = 512;
const TEXT_BYTES_MAX = ENTRY_BYTES - 2;

const BEATS = 0;
const CALL = 64;
const ACTIONS = CALL + ENTRY_BYTES;
const PASSAGES = ACTIONS + ACTIONS_MAX * ENTRY_BYTES;
const BOARD_BYTES = PASSAGES + PASSAGES_MAX;

const ARRIVED = 1;
const BEGUN = 2;

export function createBoard(file: string): void {
  writeFileSync(file, new Uint8Array(BOARD_BYTES), { mode: 0o600, flag: "wx" });
}

/** Maps the file of `createBoard`; with `isLast` its name goes, and the memory with the last process that has it. */
export function openBoard(file: string, { isLast }: { isLast: boolean }): Board {
  const bytes = Bun.mmap(file, { shared: true });
  if (bytes.byteLength !== BOARD_BYTES) throw new Error(`${file} is not a board`);
  if (isLast) rmSync(file);
  return new Board(bytes);
}

export class Board {
  readonly #bytes: Uint8Array;
  readonly #beats: Uint32Array;
  readonly #encoder = new TextEncoder();
  readonly #freeActions = Array.from({ length: ACTIONS_MAX }, (_, index) => ACTIONS_MAX - 1 - index);

  constructor(bytes: Uint8Array = new Uint8Array(BOARD_BYTES)) {
    this.#bytes = bytes;
    this.#beats = new Uint32Array(bytes.buffer, bytes.byteOffset + BEATS, 1);
  }

  /** The engine gets on. */
  beat(): void {
    this.#beats[0] = ((this.#beats[0] ?? 0) + 1) >>> 0;
  }

  get beats(): number {
    return this.#beats[0] ?? 0;
  }

  /** A query or mutation begins. There is one at a time. */
  beginCall(doing: Doing): void {
    this.beat();
    this.#markBegun(doing.passage);
    this.#write(CALL, doing);
  }

  endCall(): void {
    this.#erase(CALL);
  }

  /** An action begins; gives what to say at its end. */
  beginAction(doing: Doing): number {
    this.beat();
    this.#markBegun(doing.passage);
    const place = this.#freeActions.pop() ?? -1;
    if (place >= 0) this.#write(ACTIONS + place * ENTRY_BYTES, doing);
    return place;
  }

  endAction(place: number): void {
    if (place < 0) return;
    this.#erase(ACTIONS + place * ENTRY_BYTES);
    this.#freeActions.push(place);
  }

  /** A request has come in by a passage; no function of it has begun. */
  arrive(passage: number): void {
    if (passage >= 0 && passage < PASSAGES_MAX) this.#bytes[PASSAGES + passage] = ARRIVED;
  }

  /** Whether a function has begun for the newest request of a passage. */
  hasBegun(passage: number): boolean {
    return this.#bytes[PASSAGES + passage] === BEGUN;
  }

  /** Who can be the reason that nothing moves: the query or mutation that runs, otherwise the actions that do. */
  suspects(): Doing[] {
    const call = this.#read(CALL);
    if (call !== undefined) return [call];
    const found: Doing[] = [];
    for (let place = 0; place < ACTIONS_MAX; place++) {
      const action = this.#read(ACTIONS + place * ENTRY_BYTES);
      if (action !== undefined) found.push(action);
    }
    return found;
  }

  #markBegun(passage: number): void {
    if (passage >= 0 && passage < PASSAGES_MAX) this.#bytes[PASSAGES + passage] = BEGUN;
  }

  #write(at: number, { kind, path, hash, passage }: Doing): void {
    const { written } = this.#encoder.encodeInto(
      `${passage}\n${kind}\n${hash}\n${path}`,
      this.#bytes.subarray(at + 2, at + 2 + TEXT_BYTES_MAX),
    );
    this.#bytes[at] = written & 0xff;
    this.#bytes[at + 1] = written >> 8;
  }

  #erase(at: number): void {
    this.#bytes[at] = 0;
    this.#bytes[at + 1] = 0;
  }

  #read(at: number): Doing | undefined {
    const length = (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8);
    if (length === 0) return undefined;
    const text = new TextDecoder().decode(this.#bytes.slice(at + 2, at + 2 + length));
    const [passage = "-1", kind = "", hash = "", ...path] = text.split("\n");
    return { kind, path: path.join("\n"), hash, passage: Number(passage) };
  }
}
