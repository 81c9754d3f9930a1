/** Several hosts of one domain, on addresses of the loopback interface. What one host may do stands in fixtures/dialogs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { missing, needs } from "../../../test/parts/missing.ts";
import { freePort } from "../../../test/parts/ports.ts";
import { carry } from "./courier.ts";
import type { Host } from "./mx.ts";
import { openHost } from "./opening.ts";
import type { Failed } from "./outcome.ts";
import { createPool, fixedLimits } from "./pool/pool.ts";
import type { Mail } from "./smtp.ts";
import { parseDialog, startScripted, startSink, wantOf } from "./testing.ts";

const mail: Mail = {
  envelopeId: "id",
  from: Address.parse("b@bounces.example.com"),
  to: Address.parse("bob@example.org"),
  parts: [Buffer.from("Subject: x\r\n\r\nHello\r\n")],
  has8Bit: false,
};
/** Servers that fall silent on purpose are given up soon; to the others a busy machine may be slow. */
const silentStepMs = 300;
const slowStepMs = 10_000;
const timeoutsOf = (stepMs: number) => ({
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: 10 * stepMs,
});

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({
    "local.example": { A: ["127.0.0.1"] },
    "both.example": { A: ["127.0.0.9"], AAAA: ["::1"] },
    "two.example": { A: ["127.0.0.9", "127.0.0.10"] },
    "broken.example": "servfail",
  });
  resolver = createResolver({ servers: dns.servers, triesMax: 1 });
});
afterAll(() => dns.stop());

const poolOf = (restMs = 0, localIp?: string, stepMs = slowStepMs) =>
  createPool<Failed>({
    open: (host, _want, signal) =>
      openHost(
        host,
        {
          resolver,
          egress: {
            id: "test",
            ehloName: "mail.tyto.example",
            ...(localIp === undefined ? {} : { localIp }),
          },
          timeouts: timeoutsOf(stepMs),
          allowPrivate: true,
        },
        signal,
      ),
    connectionsMax: 10,
    limits: fixedLimits(5, 10),
    idleMax: 5,
    idleMsMax: 1_000,
    restMs,
    now: Date.now,
    random: Math.random,
  });
const host = (port: number, name = "127.0.0.1"): Host => ({ name, port, isTrusted: true, isImplicit: false });
const go = (hosts: Host[], signal = new AbortController().signal, pool = poolOf()) =>
  carry(async () => mail, hosts, wantOf("site"), pool, options(signal));
const options = (signal: AbortSignal) => ({
  signal,
  siteWaitMs: slowStepMs,
  hold: (release: () => void) => release(),
});
const script = (text: string) => startScripted(parseDialog("inline", text).connections, "");

test("the next host takes the message when the first cannot be reached, is busy, or hangs up", async () => {
  const sink = await startSink();
  const busy = await script("S: 421 come back later");
  const rude = await script("S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nreset");
  const hosts = [host(await freePort()), host(busy.port), host(rude.port), host(sink.port)];
  expect(await go(hosts)).toMatchObject({ kind: "accepted", conversation: { mx: "127.0.0.1" } });
  expect([busy.connections, rude.connections, sink.received.length]).toEqual([1, 1, 1]);
  await Promise.all([busy.stop(), rude.stop(), sink.stop()]);
});

test("a refusal of the recipient ends the attempt, whatever other hosts there are", async () => {
  const refusing = await startSink({ onRecipient: () => "550 5.1.1 no such user" });
  const other = await startSink();
  expect(await go([host(refusing.port), host(other.port)])).toMatchObject({
    kind: "refused",
    reply: { code: 550 },
  });
  expect(other.connections).toBe(0);
  await Promise.all([refusing.stop(), other.stop()]);
});

test("a message that may have arrived is not taken to another host", async () => {
  const lost = await script(
    "S: 220 mx\nC: EHLO *\nS: 250 mx\nC: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\nB:\nreset",
  );
  const other = await startSink();
  expect(await go([host(lost.port), host(other.port)])).toMatchObject({ kind: "failed", isInDoubt: true });
  expect(other.connections).toBe(0);
  await Promise.all([lost.stop(), other.stop()]);
});

test("a host that may answer later outweighs one that never will", async () => {
  const never = await script("S: 521 no mail here");
  expect(await go([host(never.port), host(await freePort())])).toMatchObject({
    kind: "failed",
    isPermanent: false,
    reason: "network.unreachable",
  });
  await never.stop();
});

test("every address of a host is tried", async () => {
  const sink = await startSink({}, "127.0.0.10");
  expect(await go([host(sink.port, "two.example")])).toMatchObject({
    kind: "accepted",
    conversation: { mx: "two.example", ip: "127.0.0.10" },
  });
  await sink.stop();
});

test("an address that we speak from is what the server sees", async () => {
  const sink = await startSink({}, "127.0.0.9");
  expect(await go([host(sink.port, "two.example")], undefined, poolOf(0, "127.0.0.7"))).toMatchObject({
    conversation: { ip: "127.0.0.9", localIp: "127.0.0.7" },
  });
  await sink.stop();
});

const withoutIpv6 = missing("delivery over IPv6", needs.ipv6());

test.skipIf(withoutIpv6)("where IPv4 is refused, IPv6 is tried", async () => {
  const sink = await startSink({}, "::1");
  expect(await go([host(sink.port, "both.example")])).toMatchObject({
    kind: "accepted",
    conversation: { mx: "both.example", ip: "::1" },
  });
  await sink.stop();
});

test.skipIf(withoutIpv6)("an address that we speak from takes the family of ways along", async () => {
  const v4 = await startSink({}, "127.0.0.9", await freePort());
  const v6 = await startSink({}, "::1", v4.port);
  const to = (localIp: string) => go([host(v4.port, "both.example")], undefined, poolOf(0, localIp));
  expect(await to("127.0.0.7")).toMatchObject({ conversation: { ip: "127.0.0.9", localIp: "127.0.0.7" } });
  expect(await to("::1")).toMatchObject({ conversation: { ip: "::1", localIp: "::1" } });
  await Promise.all([v4.stop(), v6.stop()]);
});

test("a host without an address is told as trouble of DNS", async () => {
  expect(await go([host(25, "broken.example")])).toMatchObject({
    kind: "failed",
    isPermanent: false,
    reason: "network.dns",
  });
});

test("a site that cannot be reached costs one connection for a whole queue", async () => {
  const pool = poolOf(60_000);
  const port = await freePort();
  const results = [await go([host(port)], undefined, pool), await go([host(port)], undefined, pool)];
  expect(results).toMatchObject([{ reason: "network.unreachable" }, { reason: "network.unreachable" }]);
  const back = await startSink({}, "127.0.0.1", port);
  expect(await go([host(port)], undefined, pool)).toMatchObject({ reason: "network.unreachable" });
  expect(back.connections).toBe(0);
  await back.stop();
});

test("stopping interrupts a message that has not begun, and lets one that has begun finish", async () => {
  const stopping = new AbortController();
  const answer = Promise.withResolvers<string>();
  const arrived = Promise.withResolvers<void>();
  const slow = await startSink({
    onMessage() {
      arrived.resolve();
      return answer.promise;
    },
  });
  const silent = await script("stall");
  const pool = poolOf();
  const begun = carry(async () => mail, [host(slow.port)], wantOf("slow"), pool, options(stopping.signal));
  const waiting = carry(
    async () => mail,
    [host(silent.port)],
    wantOf("silent"),
    pool,
    options(stopping.signal),
  );
  await arrived.promise;
  stopping.abort();
  expect((await waiting).kind).toBe("interrupted");
  answer.resolve("250 2.0.0 taken");
  expect(await begun).toMatchObject({ kind: "accepted", reply: { text: "taken" } });
  expect(
    (await carry(async () => mail, [host(slow.port)], wantOf("slow"), pool, options(stopping.signal))).kind,
  ).toBe("interrupted");
  await Promise.all([slow.stop(), silent.stop()]);
});

test("hostile servers never make a message delivered that nobody took, and never hang or crash", async () => {
  let state = 3;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const replies = [
    "220 mx",
    "250 ok",
    "250-more",
    "250 PIPELINING",
    "250 STARTTLS",
    "354 go",
    "421 bye",
    "450 x",
    "550 no",
    "5",
    "99 x",
    "",
    "2",
    "-",
    "\\u0000\\u00ff",
    "354-go",
    "250ok",
  ];
  const reply = () => replies[next(replies.length)] ?? "";
  const scripts = Array.from({ length: 200 }, () => {
    const lines: string[] = next(8) === 0 ? [] : ["S: 220 mx"];
    const usual = [
      ["C: *", "S: 250 mx"],
      ["C: *", "S: 250 ok"],
      ["C: *", "S: 250 ok"],
      ["C: *", "S: 354 go"],
    ];
    for (const step of usual.slice(0, next(5))) lines.push(...step);
    for (let extra = next(4); extra > 0; extra--)
      lines.push(next(3) === 0 ? "C: *" : `raw "${reply()}${next(5) === 0 ? "" : "\\r\\n"}"`);
    lines.push(["close", "reset", "stall"][next(3)] ?? "close");
    return lines.join("\n");
  });
  const play = async (text: string, stepMs: number) => {
    const [steps = []] = parseDialog("fuzz", text).connections;
    const server = await startScripted([steps, steps, steps], "");
    const result = await go([host(server.port)], undefined, poolOf(0, undefined, stepMs));
    await server.stop();
    // Only a server that asked for the message, and then said 2xx in a whole line, may have taken it.
    const said = text.split("354 go").slice(1).join("354 go");
    const mayAccept = /"(220 mx|250 ok|250 PIPELINING|250 STARTTLS)\\r\\n"/.test(said);
    if (result.kind === "accepted" && !mayAccept) throw new Error(`accepted by:\n${text}`);
    return result.kind;
  };
  const kinds = new Set<string>();
  const playAll = async (stepMs: number) => {
    for (let from = 0; from < scripts.length; from += 50) {
      const some = scripts.slice(from, from + 50);
      for (const kind of await Promise.all(some.map((text) => play(text, stepMs)))) kinds.add(kind);
    }
  };
  // The scripts reach each way to end, or they prove nothing. On a busy machine all may be given up: then with more time.
  for (const stepMs of [silentStepMs, 10 * silentStepMs, slowStepMs])
    if (kinds.size < 3) await playAll(stepMs);
  expect([...kinds].toSorted()).toEqual(["accepted", "failed", "refused"]);
}, 120_000);
