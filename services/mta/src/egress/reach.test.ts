import { expect, test } from "bun:test";
import { readPhrases } from "@tyto/contracts";
import { Reach, type Tried } from "./reach.ts";

const silence = { kind: "nothing", why: "no answer within 30 s" } as const;
const answer = { kind: "answer" } as const;
const reachOf = () => {
  const warnings: string[] = [];
  const reach = new Reach(25, { warn: (event) => void warnings.push(event) }, () => 7);
  let last = 0;
  const see = (site: string, more: Partial<Tried> = {}) =>
    reach.see({ ...{ egress: "system", site, ip: `192.0.2.${++last}`, port: 25, came: silence }, ...more });
  return { reach, see, warnings };
};

test("three different sites that do not answer, and none that ever has, are a closed port 25, which is told once", () => {
  const { reach, see, warnings } = reachOf();
  see("mx.one.example");
  see("mx.two.example");
  see("mx.two.example");
  expect(reach.closed()).toEqual([]);
  expect(reach.checksOf("system")).toEqual([]);
  see("mx.three.example", { came: { kind: "nothing", why: "ECONNREFUSED" } });
  see("mx.four.example", { came: { kind: "nothing", why: "ECONNREFUSED" } });
  const [closed] = reach.closed();
  expect(closed).toMatchObject({ egress: "system" });
  expect([...(closed?.sites ?? [])]).toEqual([
    ...["mx.one.example", "mx.two.example", "mx.three.example", "mx.four.example"],
  ]);
  expect(closed?.why).toContain("none of 5 mail servers answers system there");
  expect(closed?.why).toContain("connection refused");
  expect(closed?.why).toContain("EMAIL_PROVIDER=smtp");
  expect(readPhrases(`${closed?.why}; no mail`)).toMatchObject({ parts: [{ kind: "port.closed" }, {}] });
  expect(reach.checksOf("system")).toEqual([
    { name: "port 25", ok: false, checkedAtMs: 7, say: closed?.why ?? "" },
  ]);
  expect(warnings).toEqual(["mta.port-25-closed"]);
});

test("of a large provider two silent servers are enough", () => {
  const { reach, see } = reachOf();
  see("google", { provider: "google" });
  expect(reach.closed()).toEqual([]);
  see("google", { provider: "google" });
  expect(reach.closed()).toHaveLength(1);
});

test("one answer proves that the way is open, before as after, for that address of ours alone", () => {
  const { reach, see } = reachOf();
  const sites = ["a.example", "b.example", "c.example"];
  see("d.example", { came: answer });
  for (const site of sites) see(site);
  expect(reach.closed()).toEqual([]);
  expect(reach.checksOf("system")).toMatchObject([{ name: "port 25", ok: true }]);
  for (const site of sites) see(site, { egress: "new" });
  expect(reach.closed()).toMatchObject([{ egress: "new" }]);
  see("a.example", { egress: "new", came: answer });
  expect(reach.closed()).toEqual([]);
});

test("other ports, and a machine without IPv6, say nothing about port 25", () => {
  const { reach, see } = reachOf();
  for (const site of ["a.example", "b.example", "c.example"]) {
    see(site, { port: 587 });
    see(site, { ip: "2001:db8::1", came: { kind: "nothing", why: "ENETUNREACH" } });
  }
  expect(reach.closed()).toEqual([]);
});
