/**
 * compose.yaml as people start it, with convex-local in the place of the official Convex: images built, containers started,
 * a mail sent through them. Takes minutes, and is skipped where there is no Docker.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { missing } from "../parts/missing.ts";
import { freePort } from "../parts/ports.ts";
import { until } from "../parts/until.ts";
import { docker, dockerMissing } from "./docker.ts";

const minuteMs = 60_000;
const skip = missing("containers", await dockerMissing());

describe.skipIf(skip)("compose", () => {
  const project = `tyto-test-${crypto.randomUUID().slice(0, 8)}`;
  const files = ["-f", "compose.yaml", "-f", "compose.local.yaml"];
  let env: Record<string, string> = {};
  const compose = async (...argv: string[]) => {
    const outcome = await docker(["compose", "-p", project, ...files, ...argv], env);
    if (outcome.code !== 0)
      throw new Error(
        `docker compose ${argv.join(" ")} failed:\n${(outcome.stdout + outcome.stderr).slice(-6_000)}`,
      );
    return outcome.stdout;
  };
  let web = "";
  let key = "";
  const call = (method: string, path: string, body?: unknown) =>
    fetch(web + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  beforeAll(async () => {
    const names = ["WEB_PORT", "GATEWAY_PORT", "CONVEX_PORT", "CONVEX_SITE_PORT", "NATS_PORT", "SMTP_PORT"];
    const ports = await Promise.all(names.map(async (name) => [name, String(await freePort())] as const));
    const hasBuildkit = (await docker(["buildx", "version"])).code === 0;
    env = {
      ...Object.fromEntries(ports),
      // Images of its own, so that those of an installation on this machine stay what they are.
      TYTO_VERSION: project,
      // Without buildx only Docker's old builder is there.
      ...(hasBuildkit ? {} : { COMPOSE_BAKE: "false", DOCKER_BUILDKIT: "0" }),
      // The intake of bounces plays the remote server: it takes one address and refuses all others.
      BOUNCE_RECIPIENTS: "inbox@remote.test",
      TYTO_ROUTES: "remote.test=bounce:2525",
      MAIL_HOSTNAME: "mail.tyto.test",
      MTA_ALLOW_PRIVATE: "true",
    };
    web = `http://localhost:${env.WEB_PORT}`;
    env.SITE_URL = web;
    await compose("up", "--detach", "--build");
    await until(
      "the gateway is ready behind the edge",
      async () => (await fetch(`${web}/readyz`).catch(() => undefined))?.status === 200,
      { withinMs: 3 * minuteMs, everyMs: 500 },
    ).catch(async (error: unknown) => {
      throw new Error(
        `${String(error)}\n${await compose("ps", "--all")}\n${await compose("logs", "--tail", "20")}`,
      );
    });
    const line = await compose("exec", "-T", "gateway", "cat", "/run/tyto/env");
    key = /^MTA_API_KEY='(.*)'$/m.exec(line)?.[1] ?? "";
  }, 20 * minuteMs);

  afterAll(async () => {
    await compose("down", "--volumes", "--timeout", "20");
    await docker(["image", "rm", `tyto/services:${project}`, `tyto/web:${project}`]);
  }, 5 * minuteMs);

  test("the files are clean, with and without the override", async () => {
    for (const chosen of [["-f", "compose.yaml"], files]) {
      const { code, stderr } = await docker(["compose", ...chosen, "--profile", "ai", "config", "--quiet"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    }
  });

  test("the dashboard comes with a strict content policy, and nothing is readable without a key", async () => {
    const page = await fetch(`${web}/messages`);
    expect(page.status).toBe(200);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'self'");
    expect(policy).toMatch(/script-src 'self' 'sha256-/);
    expect((await fetch(`${web}/_nuxt/none.js`)).status).toBe(404);
    expect((await fetch(`${web}/openapi.json`)).status).toBe(200);
    expect((await fetch(`${web}/v1/emails`)).status).toBe(401);
    expect((await fetch(`http://localhost:${env.GATEWAY_PORT}/v1/emails`)).status).toBe(401);
  });

  test(
    "a mail is delivered, an unknown address bounces, and a virus is refused",
    async () => {
      expect((await call("POST", "/v1/domains", { domain: "sender.test" })).status).toBe(201);
      const send = async (mail: Record<string, unknown>) => {
        const answer = await until("the domain has its keys", async () => {
          const tried = await call("POST", "/v1/emails", {
            from: "ann@sender.test",
            subject: "Hello",
            text: "It works.",
            ...mail,
          });
          return tried.status === 202 ? ((await tried.json()) as { id: string }) : undefined;
        });
        return answer.id;
      };
      const ends = async (id: string, status: string) =>
        until(
          `${id} is ${status}`,
          async () =>
            ((await (await call("GET", `/v1/emails/${id}`)).json()) as { status?: string }).status === status,
          { withinMs: 2 * minuteMs, everyMs: 300 },
        );
      const eicar = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
      const delivered = await send({ to: "inbox@remote.test" });
      const bounced = await send({ to: "nobody@remote.test" });
      const refused = await send({
        to: "inbox@remote.test",
        attachments: [{ filename: "test.com", content: Buffer.from(eicar).toString("base64") }],
      });
      await ends(delivered, "delivered");
      await ends(bounced, "bounced");
      await ends(refused, "refused");
    },
    5 * minuteMs,
  );

  test("containers run without root, capabilities, a writable system or Docker's socket", async () => {
    const ids = (await compose("ps", "--all", "--quiet")).trim().split("\n");
    const { stdout } = await docker(["inspect", ...ids]);
    type Inspected = {
      Config: { User: string; Labels: Record<string, string> };
      HostConfig: {
        ReadonlyRootfs: boolean;
        CapDrop: string[];
        CapAdd: string[] | null;
        SecurityOpt: string[];
      };
      Mounts: { Source: string }[];
    };
    const containers = JSON.parse(stdout) as Inspected[];
    expect(containers.length).toBeGreaterThan(10);
    // One-shots that hand files to their owners, without a network.
    const root = new Set(["setup", "convex-key"]);
    for (const { Config, HostConfig, Mounts } of containers) {
      const service = Config.Labels["com.docker.compose.service"] ?? "";
      expect({
        service,
        user: root.has(service) || !/^(|0|root)(:|$)/.test(Config.User),
        readOnly: HostConfig.ReadonlyRootfs,
        dropped: HostConfig.CapDrop,
        noNewPrivileges: HostConfig.SecurityOpt.includes("no-new-privileges:true"),
        socket: Mounts.some(({ Source }) => Source.endsWith("docker.sock")),
      }).toEqual({
        service,
        user: true,
        readOnly: true,
        dropped: ["ALL"],
        noNewPrivileges: true,
        socket: false,
      });
    }
  });

  test(
    "starting again keeps the secrets and the mail",
    async () => {
      await compose("stop");
      await compose("up", "--detach");
      await until(
        "the gateway is ready again",
        async () => (await fetch(`${web}/readyz`).catch(() => undefined))?.status === 200,
        { withinMs: 3 * minuteMs, everyMs: 500 },
      );
      expect(await compose("logs", "--no-log-prefix", "--tail", "1", "setup")).toContain(
        "secrets were there already",
      );
      const list = (await (await call("GET", "/v1/emails")).json()) as { data: unknown[] };
      expect(list.data.length).toBe(3);
    },
    5 * minuteMs,
  );
});
