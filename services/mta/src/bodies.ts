import type { Bodies } from "@tyto/bus";
import type { MessageId, QueueEntry } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";

export type BodyOf = Pick<QueueEntry, "messageId" | "bodyBytes" | "bodyChunks" | "bodyPack">;

/** Packs in memory: neighbours are sent side by side. */
const packsKeptMax = 32;
/** Packs of which some bodies are dropped and others not; a forgotten one goes by age. */
const packsCountedMax = 20_000;

/**
 * Bodies as they were stored: alone, or sharing a part with their neighbours of a batch. A pack is read once for those
 * who ask side by side, and dropped with the last of its bodies.
 */
export function createBodies({ get, drop }: Pick<Bodies, "get" | "drop">) {
  const packs = new BoundedMap<string, Promise<Uint8Array>>(packsKeptMax);
  const dropped = new BoundedMap<string, Set<MessageId>>(packsCountedMax);

  const packOf = (id: string): Promise<Uint8Array> => {
    const known = packs.get(id);
    const pack = known ?? get(id, 1);
    packs.set(id, pack);
    if (known === undefined) pack.catch(() => packs.delete(id));
    return pack;
  };

  return {
    /** Throws Failure `resource.unknown` when it is gone. */
    async load({ messageId, bodyBytes, bodyChunks, bodyPack }: BodyOf): Promise<Uint8Array> {
      if (bodyPack === undefined) return get(messageId, bodyChunks);
      return (await packOf(bodyPack.id)).subarray(bodyPack.offset, bodyPack.offset + bodyBytes);
    },
    async drop({ messageId, bodyChunks, bodyPack }: BodyOf): Promise<void> {
      if (bodyPack === undefined) return drop(messageId, bodyChunks);
      const gone = dropped.get(bodyPack.id) ?? new Set();
      gone.add(messageId);
      dropped.set(bodyPack.id, gone);
      if (gone.size < bodyPack.bodies) return;
      dropped.delete(bodyPack.id);
      packs.delete(bodyPack.id);
      await drop(bodyPack.id, 1);
    },
  };
}
