import { expect, test } from "bun:test";
import { missing, needs } from "@tyto/test/parts/missing.ts";
import { many } from "./flood.ts";

test.skipIf(missing("many large senders", needs.nats()))(
  "60 senders of 12 MB at once cost the port a part of that, and others get through",
  async () => {
    const { replies, restingMb, peakMb, others } = await many({ idle: 200, senders: 60, megabytes: 12 });
    expect(replies).toEqual({ "250 2.6.0": 60 });
    // What is read lies on the disk; `bench flood` measures how little stays in memory.
    expect(peakMb - restingMb).toBeLessThan((60 * 12) / 2);
    expect(others.messages).toBeGreaterThan(0);
  },
  300_000,
);
