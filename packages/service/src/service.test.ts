import { expect, test } from "bun:test";
import { z } from "zod";
import { ConfigError, flag, list, loadConfig, port, secret } from "./config.ts";
import { serveHealth } from "./run.ts";

test("a config error names every wrong variable at once", () => {
  const shape = { KEY: secret(), PORT: port(80), URL: z.url() };
  try {
    loadConfig("mta", shape, { KEY: "short", PORT: "seventy" });
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { problems } = error as ConfigError;
    expect(problems.map((problem) => problem.split(" ")[0])).toEqual(["KEY", "PORT", "URL"]);
    expect(problems[2]).toBe("URL is not set");
  }
});

test("an empty variable counts as absent", () => {
  const shape = { HOSTS: list(), ON: flag(true), PORT: port(25) };
  expect(loadConfig("x", shape, { HOSTS: "", ON: "", PORT: "" })).toEqual({ HOSTS: [], ON: true, PORT: 25 });
  expect(loadConfig("x", shape, { HOSTS: "a, b,,c" }).HOSTS).toEqual(["a", "b", "c"]);
});

test("readyz says what is wrong and healthz stays alive", async () => {
  const health = serveHealth("mta", "127.0.0.1", 0);
  const starting = await fetch(`${health.url}/readyz`);
  expect([starting.status, await starting.json()]).toMatchObject([
    503,
    { checks: { start: "still starting" } },
  ]);
  let nats: string | undefined = "disconnected";
  health.addCheck("nats", () => nats);
  const ready = await fetch(`${health.url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ checks: { nats: "disconnected" } });
  expect((await fetch(`${health.url}/healthz`)).status).toBe(200);
  nats = undefined;
  expect((await fetch(`${health.url}/readyz`)).status).toBe(200);
  const metrics = await (await fetch(`${health.url}/metrics`)).text();
  expect(metrics).toContain('service="mta"');
  expect(metrics).toContain("nodejs_heap_size_used_bytes");
  expect(metrics).not.toContain("nodejs_heap_space");
  await health.stop();
});
