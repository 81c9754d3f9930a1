import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { ControlAnswer } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { silentLog } from "@tyto/service";
import { createSenders } from "./senders.ts";

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDns({
    "m1.test": { A: ["198.51.100.1"], AAAA: ["2001:db8::1"] },
    "m2.test": { A: ["198.51.100.2"], AAAA: [] },
    "m3.test": "servfail",
  });
});
afterAll(() => dns.stop());

const lastMinute = { delivered: 0, deferred: 0, bounced: 0 };
type Egress = { egress: string; ehloName: string; localIp?: string };
const answerOf = (process: string, egresses: readonly Egress[]): ControlAnswer<"mta.pools"> => ({
  process,
  pools: [
    {
      pool: "default",
      isDefault: true,
      egresses: egresses.map((one) => ({
        ...one,
        ...{ weight: 1, state: "in" as const, connections: 0, checks: [], lastMinute },
      })),
    },
  ],
});

const clock = { now: 1_800_000_000_000 };
let answers: ControlAnswer<"mta.pools">[] | Error;
let asked: number;
beforeEach(() => {
  answers = [];
  asked = 0;
});
const create = () =>
  createSenders({
    control: {
      async askAll() {
        asked++;
        if (answers instanceof Error) throw answers;
        return { answers: answers as never[], silent: 0 };
      },
    },
    resolver: createResolver({ servers: dns.servers, timeoutMs: 5_000, triesMax: 1, now: () => clock.now }),
    mailHostname: "mail.tyto.test",
    now: () => clock.now,
    log: silentLog,
  });
const minuteMs = 60_000;

test("addresses of all processes count, also those that have the same name in each of them", async () => {
  answers = [
    answerOf("p1", [{ egress: "system", ehloName: "m1.test" }]),
    answerOf("p2", [
      { egress: "system", ehloName: "m2.test" },
      { egress: "b", ehloName: "b.test", localIp: "198.51.100.9" },
    ]),
  ];
  expect(await create().mechanisms()).toEqual(["a:m1.test", "a:m2.test", "ip4:198.51.100.9"]);
});

test("more names than receivers look up stand with their addresses, and what DNS does not say stays out", async () => {
  const senders = create();
  answers = [
    answerOf(
      "p1",
      ["m1.test", "m2.test", "m3.test", "mail.tyto.test"].map((ehloName, index) => ({
        egress: `e${index}`,
        ehloName,
      })),
    ),
  ];
  const two = ["ip4:198.51.100.1", "ip6:2001:db8::1", "ip4:198.51.100.2"];
  expect(await senders.mechanisms()).toEqual(two);
  dns.set("m3.test", { A: ["198.51.100.3"], AAAA: [] });
  clock.now += 2 * minuteMs;
  expect(await senders.mechanisms()).toEqual([...two, "ip4:198.51.100.3"]);
  dns.set("m3.test", "servfail");
  clock.now += 2 * minuteMs;
  expect(await senders.mechanisms()).toEqual([...two, "ip4:198.51.100.3"]);
});

test("an address is known for an hour after the last process that told of it", async () => {
  const senders = create();
  answers = [answerOf("p1", [{ egress: "a", ehloName: "a.test", localIp: "198.51.100.7" }])];
  expect(await senders.mechanisms()).toEqual(["ip4:198.51.100.7"]);
  answers = new Error("the bus is away");
  clock.now += 59 * minuteMs;
  expect(await senders.mechanisms()).toEqual(["ip4:198.51.100.7"]);
  answers = [answerOf("p1", [{ egress: "b", ehloName: "b.test", localIp: "198.51.100.8" }])];
  clock.now += 2 * minuteMs;
  expect(await senders.mechanisms()).toEqual(["ip4:198.51.100.8"]);
});

test("many who ask at once ask the mta once, and again a minute later", async () => {
  const senders = create();
  answers = [answerOf("p1", [{ egress: "system", ehloName: "m1.test" }])];
  await Promise.all([senders.mechanisms(), senders.mechanisms(), senders.mechanisms()]);
  await senders.mechanisms();
  expect(asked).toBe(1);
  clock.now += minuteMs;
  await senders.mechanisms();
  expect(asked).toBe(2);
});
