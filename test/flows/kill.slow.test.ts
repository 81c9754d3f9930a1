/**
 * Accepted mail is never lost: every process is killed once with SIGKILL in the middle of 2,000 sends. Afterwards each
 * recipient has its mail, no more of them twice than connections were open at the kills, and Convex tells every
 * message's whole life.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CountingServer, startCountingServer } from "../parts/counting-server.ts";
import { type Installation, type Part, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { until } from "../parts/until.ts";

const messages = 2_000;
const sessions = 8;
const attachmentEvery = 10;
const victims: readonly Part[] = [
  "gateway",
  "scanner",
  "mta",
  "bounce",
  "recorder",
  "nats-server",
  "convex-local",
];
const skip = missing("kill flow", needs.nats(), needs.clamd());

describe.skipIf(skip)("kill -9", () => {
  let remote: CountingServer;
  let tyto: Installation;

  beforeAll(async () => {
    remote = await startCountingServer();
    tyto = await startInstallation({
      routes: { "*": remote.address },
      env: { RETRY_FIRST_S: "1", RATE_LIMIT_PER_S: "100000" },
    });
    await tyto.addDomain("sender.test");
  }, 300_000);

  afterAll(async () => {
    await tyto?.stop();
    await remote?.stop();
  }, 300_000);

  test("of every process loses nothing", async () => {
    const ids = new Map<number, string>();
    let next = 0;

    /** One send as a careful client does it: the same Idempotency-Key until there is a final answer. */
    const send = async (index: number) => {
      const attachments =
        index % attachmentEvery === 0
          ? [{ filename: "a.txt", content: btoa(`file ${index}`), content_type: "text/plain" }]
          : undefined;
      const mail = {
        from: "a@sender.test",
        to: `u${index}@dst.test`,
        subject: `Kill ${index}`,
        text: "x".repeat(500),
        attachments,
      };
      await until(
        `send ${index} is answered`,
        async () => {
          const answer = await tyto
            .call("POST", "/v1/emails", mail, { "idempotency-key": `kill-${index}` })
            .catch(() => undefined); // The gateway was just killed: ask again.
          if (answer === undefined || answer.status === 429 || answer.status >= 500) return false;
          if (answer.status !== 202)
            throw new Error(`send ${index} answered ${answer.status}: ${await answer.text()}`);
          ids.set(index, ((await answer.json()) as { id: string }).id);
          return true;
        },
        { withinMs: 180_000, everyMs: 100 },
      );
    };
    const client = async () => {
      for (let index = next++; index < messages; index = next++) await send(index);
    };

    let openAtKills = 0;
    const kills: string[] = [];
    const killer = async () => {
      for (const [order, part] of victims.entries()) {
        const at = Math.floor((messages * (order + 1)) / (victims.length + 1));
        await until(`${at} sends were answered`, () => ids.size >= at, { withinMs: 300_000, everyMs: 5 });
        const victim = await until(`${part} runs`, () => tyto.process(part), { withinMs: 60_000 });
        const before = remote.connections();
        const open = remote.openConnections();
        process.kill(victim.pid, "SIGKILL");
        kills.push(
          `${part} at ${ids.size} answered, ${remote.received()} received, ${open} connections open`,
        );
        await until(
          `${part} runs again`,
          () => {
            const again = tyto.process(part);
            return again !== undefined && again.pid !== victim.pid;
          },
          { withinMs: 60_000 },
        );
        // The dead one's that were not seen yet at the kill: a new one has nothing to send so soon.
        const late = part === "mta" ? remote.connections() - before : 0;
        openAtKills += open + late;
      }
    };

    await Promise.all([killer(), ...Array.from({ length: sessions }, client)]);
    await until("every recipient has its mail", () => remote.recipients() >= messages, { withinMs: 300_000 });
    await until(
      "Convex knows every delivery",
      async () => (await tyto.countMessages("delivered")) >= messages,
      {
        withinMs: 300_000,
        everyMs: 500,
      },
    );

    let complete = 0;
    const incomplete: string[] = [];
    for (const [index, id] of ids) {
      const message = await tyto.message(id);
      const told = message.timeline.map((entry) => entry.event);
      const wanted =
        index % attachmentEvery === 0
          ? ["mail.submitted", "mail.scanned", "mail.delivered"]
          : ["mail.accepted", "mail.delivered"];
      if (wanted.every((event) => told.includes(event))) complete++;
      else incomplete.push(`${id}: ${told.join(" ")}`);
    }
    const repeated = Array.from({ length: messages }, (_, index) => remote.times(`u${index}@dst.test`) - 1);
    const duplicates = repeated.reduce((sum, extra) => sum + Math.max(0, extra), 0);
    const lost = repeated.filter((extra) => extra < 0).length;
    console.log(
      `${kills.map((kill) => `killed ${kill}`).join("\n")}\n` +
        `sent ${ids.size}, delivered ${remote.recipients()}, lost ${lost}, duplicates ${duplicates} (connections open at kills: ${openAtKills}), complete timelines ${complete}`,
    );
    expect(new Set(ids.values()).size).toBe(messages);
    expect(lost).toBe(0);
    expect(duplicates).toBeLessThanOrEqual(openAtKills);
    expect(incomplete).toEqual([]);
  }, 1_800_000);
});
