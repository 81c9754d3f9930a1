/** Ready means that mail is taken and questions are answered: after an update, what is new on the server may be missing at first. */
import { expect, test } from "bun:test";
import { provision } from "@tyto/bus";
import { plainClient, startNats } from "@tyto/bus/testing";
import { silentLog } from "@tyto/service";
import { freePort } from "../../../test/parts/ports.ts";
import { until } from "../../../test/parts/until.ts";
import { answersOf } from "./answers.testing.ts";
import { readConfig } from "./config.ts";
import { createStarting } from "./parts/starting.ts";
import { start } from "./start.ts";

test("an mta is ready when its lanes consume and it answers, and says until then what it waits for", async () => {
  const nats = await startNats({ users: true });
  const client = await plainClient(nats.login("admin"));
  const manager = await client.jetstreamManager();
  await manager.streams.delete("KV_MEASURES");
  await manager.consumers.delete("QUEUE", "mta-bulk");
  const { url, user, password } = nats.login("mta");
  const port = await freePort();
  const starting = start(
    readConfig({
      ...{ NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password, HEALTH_PORT: String(port) },
      MTA_SECRET: "a secret of the test, long enough",
      BOUNCE_VERP_KEY: "a verp key of the test, long enough",
      MAIL_HOSTNAME: "mail.tyto.example",
    }),
    silentLog,
  );
  const checks = async (): Promise<{ isReady: boolean; [check: string]: unknown }> => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    // It does not listen yet.
    if (answer === undefined) return { isReady: false };
    return { isReady: answer.status === 200, ...((await answer.json()) as { checks: object }).checks };
  };
  const gateway = await nats.connect("gateway");
  try {
    await until("it waits", async () => (await checks()).start === "waits for the bucket MEASURES");
    expect(await checks()).toMatchObject({ isReady: false, nats: "ok" });

    // What an update makes, but for one lane.
    await provision(nats.login("admin"), silentLog);
    await manager.consumers.delete("QUEUE", "mta-bulk");
    await starting;
    await until("it misses a lane", async () => String((await checks()).lanes).includes("mta-bulk"));
    expect(await checks()).toMatchObject({ isReady: false, start: "ok" });

    await provision(nats.login("admin"), silentLog);
    await until("it is ready", async () => (await checks()).isReady);
    expect(await answersOf(gateway, "mta.state", {})).toHaveLength(1);
  } finally {
    await client.drain();
    await (await starting).stop();
    await nats.stop();
  }
}, 120_000);

test("the log tells what a start waits for, until it is over", async () => {
  const told: unknown[] = [];
  const starting = createStarting({ warn: (event, fields) => told.push([event, fields]) }, 5);
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = starting.waits("the bucket MEASURES", promise);
  await until("it is told", () => told.length > 0);
  expect(told[0]).toEqual(["mta.start-waits", { for: ["the bucket MEASURES"] }]);
  expect(starting.problem()).toBe("waits for the bucket MEASURES");
  resolve();
  await waiting;
  expect(starting.problem()).toBe("still starting");
  starting.end();
  expect(starting.problem()).toBeUndefined();
});
