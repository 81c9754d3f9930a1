/** The other processes, as far as they have been heard. */
import type { PeerRecord } from "@tyto/contracts";
import { takeMs } from "./mode.ts";

type Peer = { name: string; id: string; revision: number; heardMs: number; sees: readonly string[] };

export class Peers {
  readonly #byName = new Map<string, Peer>();

  get size(): number {
    return this.#byName.size;
  }
  isLive(id: string): boolean {
    for (const peer of this.#byName.values()) if (peer.id === id) return true;
    return false;
  }
  /** All of them reckon with the process `id`. */
  expect(id: string): boolean {
    for (const { sees } of this.#byName.values()) if (!sees.includes(id)) return false;
    return true;
  }
  ids(): string[] {
    return [...this.#byName.values()].map(({ id }) => id).toSorted();
  }

  /** `old`: read once more, and tells nothing new. `changed`: somebody came, went, or began anew. */
  see(
    name: string,
    value: PeerRecord | undefined,
    revision: number,
    nowMs: number,
  ): "old" | "heard" | "changed" {
    const known = this.#byName.get(name);
    if (known !== undefined && revision <= known.revision) return "old";
    if (value === undefined) this.#byName.delete(name);
    else this.#byName.set(name, { name, id: value.id, revision, heardMs: nowMs, sees: value.sees });
    return known?.id === value?.id ? "heard" : "changed";
  }

  /** Forgets who was silent for too long before `confirmedMs`, up to which all is heard. Tells whether there was anybody. */
  forgetSilent(confirmedMs: number): boolean {
    const before = this.#byName.size;
    for (const { name, heardMs } of this.#byName.values())
      if (confirmedMs - heardMs > takeMs) this.#byName.delete(name);
    return this.#byName.size < before;
  }

  clear(): void {
    this.#byName.clear();
  }

  status(nowMs: number): { name: string; id: string; silentMs: number }[] {
    return [...this.#byName.values()].map(({ name, id, heardMs }) => ({
      name,
      id,
      silentMs: nowMs - heardMs,
    }));
  }
}
