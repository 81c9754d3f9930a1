import { expect, test } from "bun:test";
import { missing, needs } from "@tyto/test/parts/missing.ts";
import { many } from "./flood.ts";

test.skipIf(missing("many large senders", needs.nats()))(
  "60 senders of 12 MB at once cost the port less than 2 MB each, and others get through",
  async () => {
    const { replies, restingMb, peakMb, others } = await many({ idle: 200, senders: 60, megabytes: 12 });
    expect(replies).toEqual({ "250 2.6.0": 60 });
    expect(peakMb - restingMb).toBeLessThan(120);
    expect(others.messages).toBeGreaterThan(0);
    expect(others.p50Ms).toBeLessThan(5_000);
  },
  300_000,
);
