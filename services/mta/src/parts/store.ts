import type { AttemptMark, Claim, MessageId, QueueEntry } from "@tyto/contracts";
import { createBodies } from "../bodies.ts";
import { createContents } from "../contents.ts";
import type { Surroundings } from "./surroundings.ts";

export type MessageStore = ReturnType<typeof openStore>;

/** What is stored of messages: bodies, marks of attempts, claims, suppressions, and the events that tell of them. */
export function openStore({ config, bus, now }: Surroundings) {
  const bodies = createBodies(bus.bodies);
  const contents = createContents(bodies.load, config.cacheBytesMax, now);
  const marks = bus.bucket("ATTEMPTS");
  const claims = bus.bucket("CLAIMS");
  const suppressions = bus.bucket("SUPPRESSIONS");
  return {
    contentOf: contents.get,
    async dropBody(entry: QueueEntry): Promise<void> {
      contents.forget(entry.messageId);
      await bodies.drop(entry);
    },
    markOf: marks.get,
    putMark: marks.put,
    /** The claim of the message: ours if nobody was before us. */
    async claim(messageId: MessageId, claim: Claim): Promise<Claim> {
      if (await claims.create(messageId, claim)) return claim;
      return (await claims.get(messageId)) ?? claim;
    },
    isSuppressed: async (key: string) => (await suppressions.get(key)) !== undefined,
    // The bus checks the payload against the subject's contract; the mark cannot say which of them it holds.
    publish: ({ subject, payload }: AttemptMark["event"]) => bus.publishPacked(subject, payload as never),
  };
}
