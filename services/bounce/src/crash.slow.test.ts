/** The real process is killed in the middle: what was answered with 250 is there, the rest comes again, nothing twice. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Domain, defaultOrganization, deliveryId, newMessageId, rawIdOf } from "@tyto/contracts";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { encodeReturnPath } from "@tyto/mail";
import { freePort } from "../../../test/parts/ports.ts";
import { until } from "../../../test/parts/until.ts";
import { converse } from "./testing.ts";

const verpKey = "a verp key of enough length";
const host = "bounces.sender.test";
const reports = 300;
const kills = 4;

let nats: TestNats;
let dns: DnsServer;
let dir: string;
beforeAll(async () => {
  [nats, dns, dir] = await Promise.all([
    startNats({ users: true, syncAlways: true }),
    startDns(),
    mkdtemp(join(tmpdir(), "tyto-bounce-crash-")),
  ]);
});
afterAll(async () => {
  await nats.stop();
  await dns.stop();
  await rm(dir, { recursive: true, force: true });
});

const report = (recipient: string, pad: number) =>
  `Message-ID: <${recipient}>\r\nFrom: MAILER-DAEMON@mx.remote.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.remote.test\r\n\r\nFinal-Recipient: rfc822; ${recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(pad)}\r\n--b--`;

test("kill -9 in the middle loses nothing that was answered with 250 and doubles nothing", async () => {
  const port = await freePort();
  const login = nats.login("bounce");
  const recorder = await nats.connect("recorder");
  await recorder.bucket("DOMAINS").put("sender.test", {
    domain: Domain.parse("sender.test"),
    organizationId: defaultOrganization,
    returnPathHost: Domain.parse(host),
    keys: [],
    verified: true,
  });
  const start = () =>
    Bun.spawn([process.execPath, "--no-env-file", join(import.meta.dir, "main.ts")], {
      env: {
        PATH: process.env.PATH,
        NATS_URL: login.url,
        NATS_USER: login.user,
        NATS_PASSWORD: login.password,
        BOUNCE_PORT: String(port),
        BOUNCE_VERP_KEY: verpKey,
        BOUNCE_TLS_DIR: join(dir, "tls"),
        BOUNCE_SPOOL_DIR: join(dir, "spool"),
        HEALTH_PORT: "0",
        LOG_LEVEL: "error",
        MAIL_HOSTNAME: "mail.sender.test",
        TYTO_DNS_SERVERS: dns.servers.map((server) => `${server.host}:${server.port}`).join(","),
      },
      stdout: "ignore",
      stderr: "inherit",
    });

  /** One try of a sender; true when it heard 250. */
  async function deliver(id: ReturnType<typeof deliveryId>, index: number): Promise<boolean> {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    const { say, hear } = converse(socket);
    await hear();
    for (const line of [
      "EHLO x.test",
      "MAIL FROM:<>",
      `RCPT TO:<${encodeReturnPath(id, host, verpKey)}>`,
      "DATA",
    ]) {
      say(line);
      if (!/^[23]/.test(await hear())) return false;
    }
    // One in ten is long enough for a file.
    say(`${report(`u${index}@remote.test`, index % 10 === 0 ? 10_000 : 20)}\r\n.`);
    const reply = await hear();
    socket.destroy();
    return reply.startsWith("250");
  }

  const heard = new Map<string, number>();
  const raws = new Map<string, number>();
  await recorder.consumeBatches("recorder", { batchMax: 100, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      heard.set(event.payload.id, (heard.get(event.payload.id) ?? 0) + 1);
      if (event.subject === "mail.received")
        raws.set(rawIdOf(event.payload.inboundId), event.payload.rawChunks);
    }
    return { kind: "done" };
  });

  const ids = Array.from({ length: reports }, () => deliveryId(newMessageId(), 0));
  let child = start();
  let answered = 0;
  let next = 0;
  const sender = async () => {
    for (let index = next++; index < reports; index = next++) {
      const id = ids[index];
      if (id === undefined) return;
      while (!(await deliver(id, index))) await Bun.sleep(20);
      answered++;
    }
  };
  const sending = Promise.all(Array.from({ length: 20 }, sender));
  for (let kill = 1; kill <= kills; kill++) {
    await until("some were answered", () => answered >= (reports * kill) / (kills + 1), {
      withinMs: 120_000,
      everyMs: 1,
    });
    child.kill("SIGKILL");
    await child.exited;
    child = start();
  }
  await sending;

  await until("every event is heard", () => heard.size >= 2 * reports, { withinMs: 120_000 });
  expect(heard.size).toBe(2 * reports);
  expect([...heard.values()].filter((times) => times > 1)).toEqual([]);
  for (const id of ids)
    expect(
      [...heard.keys()].filter((key) => key.startsWith(`${id}.`) && key.endsWith(".bounced")),
    ).toHaveLength(1);
  for (const [rawId, parts] of raws)
    expect((await recorder.raw.get(rawId, parts)).length).toBeGreaterThan(500);
  expect(raws.size).toBe(reports);

  await until("nothing stays in the spool", async () => (await readdir(join(dir, "spool"))).length === 0);
  child.kill("SIGTERM");
  await child.exited;
}, 600_000);
