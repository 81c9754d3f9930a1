/** kill -9 of the mta and of nats-server again and again while sending: nothing is lost, and little comes twice. */
import { expect, test } from "bun:test";
import { startNats } from "@tyto/bus/testing";
import { missing, needs } from "../parts/missing.ts";
import { type Sending, startSending } from "../parts/sending.ts";
import { until } from "../parts/until.ts";

const skip = missing("kill -9 of the mta", needs.nats());
const connections = "30";
const env = { MTA_CONCURRENCY: connections, MTA_SITE_CONNECTIONS: connections };

/** What was in hand at a kill comes again when its time to be acknowledged is over, which a busy machine may let pass twice. */
const toldOf = (sending: Sending, count: number) =>
  until("every delivery is told", () => sending.told() === count, {
    withinMs: 300_000,
    state: () => ({ told: sending.told(), ...sending.tally() }),
  });

test.skipIf(skip)(
  "of the mta loses nothing and repeats no more than connections were open at each kill",
  async () => {
    const lives = 8;
    const perLife = 120;
    const nats = await startNats({ users: true, syncAlways: true });
    const sending = await startSending(nats, { env, answerMs: 5 });
    try {
      for (let life = 0; life < lives; life++) {
        const mta = await sending.startMta("mta");
        const accepting = sending.accept(perLife);
        const at = sending.remote.received() + 1 + Math.floor(Math.random() * perLife * 0.9);
        await until("enough is sent", () => sending.remote.received() >= at, {
          withinMs: 180_000,
          everyMs: 1,
        });
        await sending.duringKill("mta", () => {
          mta.process.kill("SIGKILL");
          return mta.process.exited;
        });
        await accepting;
      }
      await sending.startMta("mta");
      await toldOf(sending, sending.accepted());
      const tally = sending.tally();
      expect(tally).toMatchObject({ accepted: lives * perLife, lost: 0, unexplained: 0, excessive: 0 });
      // Kills came in the middle: else this proves nothing.
      expect(sending.kills.filter((kill) => kill.connections > 0).length).toBe(lives);
    } finally {
      await sending.stop();
      await nats.stop();
    }
  },
  500_000,
);

test.skipIf(skip)(
  "of nats-server loses nothing and repeats no more than connections were open at each kill",
  async () => {
    const messages = 2_000;
    const kills = 4;
    const nats = await startNats({ users: true, syncAlways: true });
    const sending = await startSending(nats, { env, answerMs: 5 });
    try {
      await sending.startMta("mta");
      const accepting = sending.accept(messages);
      for (let count = 0; count < kills; count++) {
        const at = Math.floor((messages * (count + Math.random())) / kills);
        await until("enough is delivered", () => sending.received() >= at, { withinMs: 180_000, everyMs: 1 });
        await sending.duringKill("nats-server", async () => {
          await nats.kill();
          await nats.restart();
        });
      }
      await accepting;
      await toldOf(sending, messages);
      expect(sending.tally()).toMatchObject({ accepted: messages, lost: 0, unexplained: 0, excessive: 0 });
    } finally {
      await sending.stop();
      await nats.stop();
    }
  },
  500_000,
);
