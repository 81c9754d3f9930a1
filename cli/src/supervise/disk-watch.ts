/**
 * What `tyto up` does about a full disk; in a container it is ops/docker/nats.sh. A nats-server whose write failed for want of room answers no publisher any more,
 * also when there is room again (2.15), so it is started again then. Nothing is lost by that: what it did not store it
 * never confirmed.
 */
import type { Happening } from "./supervisor.ts";

export type DiskPorts = {
  freeMb(): number;
  restartNats(): void;
  say(text: string): void;
  /** Resolves after the time, or at once when the signal fires. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

export type DiskWatch = {
  /** Is shown every line of every part. */
  see(happening: Happening): void;
  /** Looks until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
};

const lookEveryMs = 2_000;
/** With less the next write fails again. */
const roomMbMin = 64;
const writeFailed = /no space left on device|disk quota exceeded/;

/** `takesFromMb`: with less free, gateway and bounce take no mail. */
export function watchDisk(ports: DiskPorts, dir: string, takesFromMb: number): DiskWatch {
  let isStuck = false;
  let isShort = false;

  const look = () => {
    const freeMb = ports.freeMb();
    if (!isShort && freeMb < takesFromMb) {
      isShort = true;
      ports.say(
        `the disk of ${dir} has ${freeMb} MB left: no new mail is taken; free some of it, and mail goes on by itself`,
      );
    } else if (isShort && freeMb >= takesFromMb) {
      isShort = false;
      ports.say(`the disk of ${dir} has ${freeMb} MB free again: mail is taken`);
    }
    if (!isStuck || freeMb < roomMbMin) return;
    isStuck = false;
    ports.say("nats-server stopped storing when the disk was full; it is started again");
    ports.restartNats();
  };

  return {
    see(happening) {
      if (happening.kind === "line" && happening.part === "nats" && writeFailed.test(happening.text))
        isStuck = true;
    },
    async run(signal) {
      while (!signal.aborted) {
        look();
        await ports.wait(lookEveryMs, signal);
      }
    },
  };
}
