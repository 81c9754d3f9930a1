/**
 * A change of DKIM keys while mail flows, with nothing in our place: the API, Convex, the recorder, the mta and DNS over sockets.
 * Every message is verified when it arrives and all of them again at the end, as a slow receiver would.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DomainView } from "@tyto/contracts";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { dkimVerify } from "mailauth/lib/dkim/verify";
import { SMTPServer } from "smtp-server";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { until } from "../parts/until.ts";

const skip = missing("rotation flow", needs.nats(), needs.clamd());
const path = "/v1/domains/sender.test";

describe.skipIf(skip)("keys change", () => {
  let dns: DnsServer;
  let server: SMTPServer;
  let tyto: Installation;
  const received: Buffer[] = [];

  beforeAll(async () => {
    dns = await startDns({});
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      logger: false,
      onData(stream, _session, callback) {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          received.push(Buffer.concat(parts));
          callback();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    tyto = await startInstallation({
      dnsServers: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      routes: { "*": `127.0.0.1:${address.port}` },
    });
    await tyto.addDomain("sender.test");
    publish(await ask("GET", path));
    expect((await ask("POST", `${path}/check`)).state).toBe("verified");
  }, 300_000);

  afterAll(async () => {
    await tyto?.stop();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    await dns?.stop();
  }, 300_000);

  async function ask(method: string, at: string): Promise<DomainView> {
    const answer = await tyto.call(method, at);
    expect(answer.status).toBe(200);
    return (await answer.json()) as DomainView;
  }
  function publish({ records }: Pick<DomainView, "records">): void {
    for (const { type, name, value } of records)
      if (type === "TXT")
        dns.set(name, { TXT: [value], MX: [{ preference: 10, exchange: "mail.tyto.test" }] });
  }
  const nextRecords = ({ records }: DomainView) => records.filter(({ stage }) => stage === "next");

  /** The selectors of a message's signatures that verify now. */
  async function verified(message: Buffer): Promise<string[]> {
    const resolver = asNodeResolve(createResolver({ servers: dns.servers }));
    const { results } = await dkimVerify(message, { resolver: resolver as never });
    return results.filter(({ status }) => status.result === "pass").map(({ selector }) => selector ?? "");
  }
  async function send(): Promise<string[]> {
    const id = await tyto.send({
      from: "ann@sender.test",
      to: "bob@good.test",
      subject: "News",
      text: "Hello.",
    });
    const message = await until(
      "the message arrives",
      () => received.find((raw) => raw.includes(`X-Tyto-Message: ${id}`)),
      { withinMs: 60_000 },
    );
    return verified(message);
  }

  test("old keys sign until DNS shows all of the new ones, new keys after that, and every message verifies throughout", async () => {
    const [old, fresh] = [
      ["tyto1r", "tyto1e"],
      ["tyto2r", "tyto2e"],
    ];
    expect(await send()).toEqual(old);

    const rotating = await ask("POST", `${path}/rotate-keys`);
    const next = nextRecords(rotating);
    expect(next.map(({ name }) => name.split(".")[0])).toEqual(fresh);
    expect(await send()).toEqual(old);

    // One of two is not enough.
    publish({ records: next.slice(0, 1) });
    expect(nextRecords(await ask("POST", `${path}/check`)).map(({ state }) => state)).toEqual([
      "found",
      "missing",
    ]);
    expect(await send()).toEqual(old);

    publish({ records: next });
    const rotated = await ask("POST", `${path}/check`);
    expect(rotated.state).toBe("verified");
    expect(rotated.records.filter(({ stage }) => stage === "old").map(({ state }) => state)).toEqual([
      "found",
      "found",
    ]);
    // The mta takes a record as known for ten seconds; mail of either kind verifies meanwhile.
    await until(
      "the new keys sign",
      async () => {
        const selectors = await send();
        expect([old, fresh]).toContainEqual(selectors);
        return selectors[0] === fresh[0];
      },
      { withinMs: 60_000 },
    );
    for (const message of received) expect(await verified(message)).toHaveLength(2);
  }, 600_000);
});
