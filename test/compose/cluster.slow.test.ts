/**
 * compose.cluster.yaml as people start it: three NATS nodes and two mta processes. Mail is sent while each node is killed in
 * turn, and while one mta is. Takes minutes, and is skipped where there is no Docker.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { missing } from "../parts/missing.ts";
import { freePort } from "../parts/ports.ts";
import { until } from "../parts/until.ts";
import { docker, dockerMissing } from "./docker.ts";

const minuteMs = 60_000;
const skip = missing("a cluster of containers", await dockerMissing());

describe.skipIf(skip)("compose with a cluster", () => {
  const project = `tyto-cluster-${crypto.randomUUID().slice(0, 8)}`;
  const files = ["compose.yaml", "compose.local.yaml", "compose.cluster.yaml"].flatMap((file) => [
    "-f",
    file,
  ]);
  let env: Record<string, string> = {};
  let api = "";
  let key = "";
  const compose = async (...argv: string[]) => {
    const outcome = await docker(["compose", "-p", project, ...files, ...argv], env);
    if (outcome.code !== 0)
      throw new Error(
        `docker compose ${argv.join(" ")} failed:\n${(outcome.stdout + outcome.stderr).slice(-6_000)}`,
      );
    return outcome.stdout;
  };
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(api + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch(() => undefined);
  let sent = 0;
  /** As a careful client does it: the same Idempotency-Key until there is an answer. */
  const send = async () => {
    const mail = {
      from: "ann@sender.test",
      to: "inbox@remote.test",
      subject: `Mail ${++sent}`,
      text: "Hello.",
    };
    const idempotency = { "idempotency-key": `mail-${sent}` };
    return until(
      "the mail is accepted",
      async () => {
        const answer = await call("POST", "/v1/emails", mail, idempotency);
        return answer?.status === 202 ? ((await answer.json()) as { id: string }).id : undefined;
      },
      { withinMs: minuteMs },
    );
  };
  const isDelivered = (id: string) =>
    until(
      `${id} is delivered`,
      async () => {
        const answer = await call("GET", `/v1/emails/${id}`);
        return answer?.status === 200 && ((await answer.json()) as { status: string }).status === "delivered";
      },
      { withinMs: 2 * minuteMs, everyMs: 300 },
    );
  const isHealthy = (service: string) =>
    until(
      `${service} is healthy`,
      async () => (await compose("ps", "--format", "{{.Health}}", service)).trim() === "healthy",
      { withinMs: 2 * minuteMs, everyMs: 500 },
    );

  beforeAll(async () => {
    const names = ["WEB_PORT", "GATEWAY_PORT", "CONVEX_PORT", "CONVEX_SITE_PORT", "NATS_PORT", "SMTP_PORT"];
    const ports = await Promise.all(names.map(async (name) => [name, String(await freePort())] as const));
    const hasBuildkit = (await docker(["buildx", "version"])).code === 0;
    env = {
      ...Object.fromEntries(ports),
      TYTO_VERSION: project,
      ...(hasBuildkit ? {} : { COMPOSE_BAKE: "false", DOCKER_BUILDKIT: "0" }),
      BOUNCE_RECIPIENTS: "inbox@remote.test",
      TYTO_ROUTES: "remote.test=bounce:2525",
      MAIL_HOSTNAME: "mail.tyto.test",
      MTA_ALLOW_PRIVATE: "true",
    };
    api = `http://localhost:${env.GATEWAY_PORT}`;
    env.SITE_URL = `http://localhost:${env.WEB_PORT}`;
    await compose("up", "--detach", "--build");
    const line = await compose("exec", "-T", "gateway", "cat", "/run/tyto/env");
    key = /^MTA_API_KEY='(.*)'$/m.exec(line)?.[1] ?? "";
    await until(
      "the domain is there",
      async () => {
        const answer = await call("POST", "/v1/domains", { domain: "sender.test" });
        return answer?.status === 201;
      },
      { withinMs: 2 * minuteMs },
    );
    await isDelivered(await send());
  }, 20 * minuteMs);

  afterAll(async () => {
    await compose("down", "--volumes", "--timeout", "20");
    await docker(["image", "rm", `tyto/services:${project}`, `tyto/web:${project}`]);
  }, 5 * minuteMs);

  test(
    "any one NATS node can be killed, one after the other, and mail goes on",
    async () => {
      for (const node of ["nats", "nats-2", "nats-3"]) {
        const before = [await send(), await send()];
        await compose("kill", node);
        const during = [await send(), await send()];
        for (const id of [...before, ...during]) await isDelivered(id);
        await compose("start", node);
        await isHealthy(node);
      }
    },
    10 * minuteMs,
  );

  test(
    "either mta can be killed, and mail goes on",
    async () => {
      const ids = (await compose("ps", "--quiet", "mta")).trim().split("\n");
      expect(ids.length).toBe(2);
      for (const id of ids) {
        const before = await send();
        await docker(["kill", id]);
        const during = await send();
        for (const mail of [before, during]) await isDelivered(mail);
        await docker(["start", id]);
      }
    },
    10 * minuteMs,
  );
});
