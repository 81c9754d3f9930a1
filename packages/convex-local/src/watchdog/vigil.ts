/** What the watcher sees of the engine at one moment. */
export type Sight = {
  nowMs: number;
  /** Rises whenever the engine gets on. */
  beats: number;
  /** Processor time of the thread that runs functions. */
  cpuMs: number;
  /** Memory that is really there, in bytes. */
  residentBytes: number;
};

export type VigilLimits = {
  /** Processor time without a beat. */
  stallCpuMsMax: number;
  /** Time without a beat, for an engine that waits instead of computing. */
  stallMsMax: number;
  /** Memory gained without a beat: by one call. */
  callMemoryBytesMax: number;
  /** Memory altogether. */
  memoryBytesMax: number;
};

/** Judges from one look to the next whether the engine gets on. */
export class Vigil {
  readonly #limits: VigilLimits;
  #last: Sight | null = null;

  constructor(limits: VigilLimits) {
    this.#limits = limits;
  }

  /** Why the engine has to be ended; null while all is well. */
  judge(sight: Sight): "time" | "memory" | null {
    const { stallCpuMsMax, stallMsMax, callMemoryBytesMax, memoryBytesMax } = this.#limits;
    if (sight.residentBytes > memoryBytesMax) return "memory";
    const last = this.#last;
    if (last === null || last.beats !== sight.beats) {
      this.#last = sight;
      return null;
    }
    if (sight.residentBytes - last.residentBytes > callMemoryBytesMax) return "memory";
    if (sight.cpuMs - last.cpuMs > stallCpuMsMax || sight.nowMs - last.nowMs > stallMsMax) return "time";
    return null;
  }
}
