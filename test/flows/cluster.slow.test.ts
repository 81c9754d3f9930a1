/**
 * Three nats-servers and two mta processes: a node is killed while 2,000 messages are sent, comes back, then another one.
 */
import { expect, test } from "bun:test";
import { startCluster } from "@tyto/bus/testing-cluster";
import { missing, needs } from "../parts/missing.ts";
import { startSending } from "../parts/sending.ts";
import { until } from "../parts/until.ts";

const messages = 2_000;
const connections = "20";

test.skipIf(missing("cluster flow", needs.nats()))(
  "a cluster that loses one node, and later another, loses no mail",
  async () => {
    const cluster = await startCluster();
    const sending = await startSending(cluster, {
      env: { MTA_CONCURRENCY: connections, MTA_SITE_CONNECTIONS: connections },
      answerMs: 5,
    });
    try {
      await Promise.all([sending.startMta("one"), sending.startMta("two")]);
      // The leader of the events is the worst to lose; then one of the others.
      const leader = await cluster.leaderOf("EVENTS");
      for (const node of [leader, (leader + 1) % 3]) {
        const before = sending.received();
        const accepting = sending.accept(messages / 2);
        await until("enough is delivered", () => sending.received() >= before + messages * 0.1, {
          withinMs: 240_000,
          everyMs: 5,
        });
        await sending.duringKill(`nats-${node}`, () => cluster.kill(node));
        await accepting;
        await until("it goes on with two nodes", () => sending.received() === sending.accepted(), {
          withinMs: 240_000,
        });
        cluster.restart(node);
        await cluster.whenHealthy();
      }
      await until("every delivery is told", () => sending.told() === messages, { withinMs: 300_000 });
      const tally = sending.tally();
      process.stderr.write(
        `${messages} sent, ${tally.lost} lost, ${tally.duplicates} twice (${tally.connectionsAtKills} connections at the kills)\n`,
      );
      expect(tally).toMatchObject({ accepted: messages, lost: 0, unexplained: 0, excessive: 0 });
    } finally {
      await sending.stop();
      await cluster.stop();
    }
  },
  1_200_000,
);
