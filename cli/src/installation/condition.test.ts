import { afterEach, expect, test } from "bun:test";
import { type Check, serveHealth } from "@tyto/service";
import { freePort } from "../../../test/parts/ports.ts";
import { lookAtParts } from "./condition.ts";

const serving: { stop(): void }[] = [];
afterEach(() => {
  for (const one of serving.splice(0)) one.stop();
});

/** A service with these checks, and its health port. */
function service(name: string, checks: Record<string, Check>): number {
  const health = serveHealth(name, "127.0.0.1", 0);
  for (const [check, ask] of Object.entries(checks)) health.addCheck(check, ask);
  serving.push({ stop: () => void health.stop() });
  return Number(new URL(health.url).port);
}
function natsServer(): number {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: (socket) => void socket.write('INFO {"server_id":"N"}\r\n'), data() {} },
  });
  serving.push({ stop: () => server.stop(true) });
  return server.port;
}
const fine = () => undefined;

test("parts that are ready are named, and parts that were not started are not asked", async () => {
  const ports = {
    NATS_PORT: natsServer(),
    MTA_HEALTH_PORT: service("mta", { nats: fine }),
    RECORDER_HEALTH_PORT: service("recorder", { nats: fine, convex: fine }),
  };
  expect(await lookAtParts(ports)).toEqual([{ part: "nats" }, { part: "mta" }, { part: "recorder" }]);
});

test("each part that is not ready says why in its own words, what it means and what to do", async () => {
  const ports = {
    NATS_PORT: natsServer(),
    CONVEX_PORT: await freePort(),
    CLAMAV_PORT: await freePort(),
    SCANNER_HEALTH_PORT: service("scanner", { nats: fine, clamd: () => "no answer to PING" }),
    MTA_HEALTH_PORT: await freePort(),
    BOUNCE_HEALTH_PORT: service("bounce", { nats: fine, smtp: () => "not open yet" }),
    RECORDER_HEALTH_PORT: service("recorder", { nats: fine, convex: () => "503 away", sync: () => "gone" }),
  };
  const found = await lookAtParts(ports);
  expect(found.map(({ part, problem }) => [part, problem?.why])).toEqual([
    ["nats", undefined],
    ["convex", `nothing listens at port ${ports.CONVEX_PORT}`],
    ["clamd", `nothing listens at port ${ports.CLAMAV_PORT}`],
    ["scanner", "clamd: no answer to PING"],
    ["mta", `nothing listens at port ${ports.MTA_HEALTH_PORT}`],
    ["bounce", "smtp: not open yet"],
    ["recorder", "convex: 503 away, sync: gone"],
  ]);
  const problemOf = (name: string) => found.find(({ part }) => part === name)?.problem;
  expect(problemOf("mta")).toMatchObject({
    harm: "mail that was taken waits",
    mend: expect.stringContaining("the lines of mta"),
  });
  expect(problemOf("scanner")?.mend).toStartWith("mend clamd first");
  expect(problemOf("recorder")?.mend).toStartWith("mend convex first");
  expect(problemOf("bounce")?.mend).toContain("the lines of bounce");
});

test("what is wrong with a part that looks well itself leads to that part's lines", async () => {
  const ports = { NATS_PORT: natsServer(), MTA_HEALTH_PORT: service("mta", { nats: () => "disconnected" }) };
  const [, mta] = await lookAtParts(ports);
  expect(mta?.problem).toMatchObject({
    why: "nats: disconnected",
    mend: expect.stringContaining("lines of nats"),
  });
});
