import { followMsMax } from "@tyto/contracts";

type Telling = { ended: AbortSignal; end(): void };

/** The questions that are being answered again and again, each until nobody has repeated it for `followMsMax`. */
export class Tellings {
  readonly #now: () => number;
  /** By where the answers go, which is another place for each question. */
  readonly #running = new Map<string, { heardAtMs: number; end(): void }>();
  readonly #sweep: ReturnType<typeof setInterval>;

  constructor(now: () => number) {
    this.#now = now;
    this.#sweep = setInterval(() => this.#endForgotten(), followMsMax / 5);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#running.size;
  }

  /** True for a question that is being answered: it goes on for a while. */
  isKeptUp(reply: string): boolean {
    const telling = this.#running.get(reply);
    if (telling !== undefined) telling.heardAtMs = this.#now();
    return telling !== undefined;
  }

  begin(reply: string, msMax: number): Telling {
    const ending = new AbortController();
    const end = () => {
      clearTimeout(late);
      this.#running.delete(reply);
      ending.abort();
    };
    const late = setTimeout(end, msMax);
    late.unref();
    this.#running.set(reply, { heardAtMs: this.#now(), end });
    return { ended: ending.signal, end };
  }

  stop(): void {
    clearInterval(this.#sweep);
    for (const telling of [...this.#running.values()]) telling.end();
  }

  #endForgotten(): void {
    for (const telling of this.#running.values())
      if (this.#now() - telling.heardAtMs > followMsMax) telling.end();
  }
}
