import { expect, test } from "bun:test";
import {
  Domain,
  type DomainRecord,
  defaultOrganization,
  events,
  Failure,
  type Payload,
} from "@tyto/contracts";
import { silentLog } from "@tyto/service";
import { createKeymaker } from "./keymaker.ts";
import { createVault, makeKeys } from "./keys.ts";

const domain = Domain.parse("example.com");
const record: DomainRecord = {
  domain,
  organizationId: defaultOrganization,
  returnPathHost: Domain.parse("bounces.example.com"),
  keys: [],
  verified: false,
};
const vault = createVault("a secret of the test, long enough");

function setUp(failures = 0) {
  const offers: Payload<"domain.keyed">[] = [];
  let left = failures;
  const keymaker = createKeymaker({
    vault,
    async publish(_subject, payload) {
      if (left-- > 0) throw new Failure("upstream.down", "away");
      offers.push(payload);
    },
    now: Date.now,
    log: silentLog,
  });
  return { keymaker, offers };
}

test("a domain without keys is offered one set, however often it is seen", async () => {
  const { keymaker, offers } = setUp();
  keymaker.see(domain, record);
  keymaker.see(domain, { ...record, verified: true });
  await keymaker.settled();
  expect(offers).toHaveLength(1);
  expect(() => events["domain.keyed"].parse(offers[0])).not.toThrow();
  await keymaker.stop();
});

test("a domain with keys is left alone; one that was taken away and came back gets new ones", async () => {
  const { keymaker, offers } = setUp();
  keymaker.see(domain, record);
  await keymaker.settled();
  keymaker.see(domain, { ...record, keys: offers[0]?.keys ?? [] });
  keymaker.see(domain, undefined);
  keymaker.see(domain, record);
  await keymaker.settled();
  expect(offers.map(({ domain: name }) => name)).toEqual([domain, domain]);
  expect(offers[0]?.id).not.toBe(offers[1]?.id ?? "");
  await keymaker.stop();
});

test("a rotation is offered one set with selectors of its own, and the next rotation another", async () => {
  const { keymaker, offers } = setUp();
  const keys = await makeKeys(domain, vault);
  const rotating = { ...record, keys, rotation: { number: 2, keys: [] } };
  keymaker.see(domain, rotating);
  keymaker.see(domain, { ...rotating, verified: true });
  await keymaker.settled();
  expect(offers.map((offer) => [offer.rotation, ...offer.keys.map(({ selector }) => selector)])).toEqual([
    [2, "tyto2r", "tyto2e"],
  ]);
  keymaker.see(domain, { ...rotating, rotation: { number: 2, keys: offers[0]?.keys ?? [] } });
  keymaker.see(domain, { ...rotating, rotation: { number: 3, keys: [] } });
  await keymaker.settled();
  expect(offers.map(({ rotation }) => rotation)).toEqual([2, 3]);
  expect(() => events["domain.keyed"].parse(offers[1])).not.toThrow();
  await keymaker.stop();
});

test("a stopped keymaker offers nothing more", async () => {
  const { keymaker, offers } = setUp(1);
  keymaker.see(domain, record);
  await keymaker.settled();
  await keymaker.stop();
  keymaker.see(Domain.parse("example.org"), { ...record, domain: Domain.parse("example.org") });
  await keymaker.settled();
  expect(offers).toEqual([]);
});
