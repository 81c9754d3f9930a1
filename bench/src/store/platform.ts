/** What the platform does all day: signed batches of events into the functions of convex/. */
import { createHmac, randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { sample } from "@tyto/convex/samples.testing.ts";
import { cpuSeconds } from "../processes.ts";
import { startEngine } from "./engine.ts";
import { load, round } from "./load.ts";

const eventsPerBatch = 200;
/** Nobody signs in here. */
const noKeys = `data:application/json;base64,${btoa('{"keys":[]}')}`;
/** A message is accepted and delivered: two events. */
const eventsPerMessage = 2;

export async function platformEvents(dataDir: string, batches: number, callers: number) {
  const engine = await startEngine(dataDir);
  for (const service of ["GATEWAY", "RECORDER"]) await engine.setEnvironment(`${service}_JWKS`, noKeys);
  await engine.deploy(dirname(Bun.resolveSync("@tyto/convex/schema.ts", join(import.meta.dir, "../.."))));
  const key = randomBytes(32);
  await engine.setEnvironment("MTA_WEBHOOK_SECRET", `whsec_${key.toString("base64")}`);
  const bodies = Array.from({ length: batches }, (_, batch) => batchOf(batch));
  const cpuBeforeS = await cpuSeconds([engine.pid]);
  const measured = await load(batches, callers, async (index) => {
    const body = bodies[index] ?? "";
    const id = `msg_${index}`;
    const timestamp = Math.floor(Date.now() / 1_000);
    const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
    const response = await fetch(`${engine.siteUrl}/events`, {
      method: "POST",
      headers: {
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": `v1,${signature}`,
      },
      body,
    });
    const answer = (await response.json()) as { applied?: number };
    if (answer.applied !== eventsPerBatch) throw new Error(`/events answered ${JSON.stringify(answer)}`);
  });
  const cpuS = (await cpuSeconds([engine.pid])) - cpuBeforeS;
  await engine.stop();
  return {
    eventsPerS: measured.perS * eventsPerBatch,
    batchP50Ms: measured.p50Ms,
    cpuSPer1000Events: round((cpuS / (batches * eventsPerBatch)) * 1_000, 3),
  };
}

function batchOf(batch: number): string {
  const events = Array.from({ length: eventsPerBatch / eventsPerMessage }, (_, index) => {
    const messageId = messageIdOf(batch * eventsPerBatch + index);
    return [sample("mail.accepted"), sample("mail.delivered")].map((event) =>
      JSON.parse(
        JSON.stringify({ subject: event.subject, payload: event.payload }).replaceAll(
          String((event.payload as { messageId: string }).messageId),
          messageId,
        ),
      ),
    );
  });
  return JSON.stringify({ events: events.flat() });
}

/** A ULID of one moment, as the gateway makes them. */
const messageIdOf = (index: number) => `01ke70ehg0${String(index).padStart(16, "0")}`;
