/** A disk that runs full: mail is refused in time, what was taken is neither lost nor sent twice, and all goes on by itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type CountingServer, startCountingServer } from "../parts/counting-server.ts";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { makeSmallDisk } from "../parts/small-disk.ts";
import { deliver } from "../parts/smtp-client.ts";
import { until } from "../parts/until.ts";

const mebibyte = 1_048_576;
const made = makeSmallDisk(900);
const disk = "missing" in made ? undefined : made;
const skip = missing("a full disk", needs.nats(), "missing" in made ? made.missing : undefined);

describe.skipIf(skip)("a full disk", () => {
  let tyto: Installation;
  let remote: CountingServer;
  let heard = (_recipient: string) => {};
  const mail = (to: string) => ({ from: "a@sender.test", to, subject: "Hello", text: "x".repeat(2_000) });
  const isDelivered = ({ status }: { status: string }) => status === "delivered";

  beforeAll(async () => {
    remote = await startCountingServer({ onTaken: (recipient) => heard(recipient), answerMs: 3_000 });
    const dataDir = join(disk?.dir ?? "", "data");
    mkdirSync(dataDir);
    tyto = await startInstallation({ dataDir, routes: { "*": remote.address } });
    await tyto.addDomain("sender.test");
  }, 300_000);
  afterAll(async () => {
    await tyto?.stop();
    await remote?.stop();
    disk?.remove();
  }, 120_000);

  test("is noticed before it is full: API and port 25 say what is wrong, and what was accepted goes on", async () => {
    const headers = { "idempotency-key": "before" };
    const id = await tyto.send(mail("before@good.test"), headers);
    disk?.leave(100 * mebibyte);
    const refused = await tyto.call("POST", "/v1/emails", mail("refused@good.test"));
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({
      code: "storage.full",
      detail: expect.stringMatching(/has \d+ MB left and mail is taken from 256 MB on/),
    });
    expect(await tyto.send(mail("before@good.test"), headers)).toBe(id);
    const report = "From: x@good.test\r\nSubject: y\r\n\r\nz\r\n";
    const envelope = { from: "x@good.test", to: "postmaster@sender.test" };
    expect(await deliver(tyto.bouncePort, envelope, report)).toMatch(/^452 4\.3\.1 /);
    await tyto.message(id, isDelivered);
    await until("it is told", () => tyto.output().includes("no new mail is taken"));

    disk?.free();
    expect(await deliver(tyto.bouncePort, envelope, report)).toMatch(/^250 /);
    const after = await tyto.send(mail("after@good.test"));
    await tyto.message(after, isDelivered);
    expect(remote.times("refused@good.test")).toBe(0);
  }, 300_000);

  test("that is full while mail is on its way loses none, sends none twice, and needs nobody", async () => {
    const before = tyto.process("nats-server")?.pid;
    const recipients = Array.from({ length: 12 }, (_, index) => `u${index}@good.test`);
    // The remote server answers three seconds later, when there is no room for what came of it.
    heard = () => {
      heard = () => {};
      disk?.leave(0);
    };
    const ids = await Promise.all(recipients.map((to) => tyto.send(mail(to))));
    await until("nats-server could not write", () => tyto.output().includes("no space left on device"));
    disk?.free();
    for (const id of ids) await tyto.message(id, isDelivered, 180_000);
    expect(recipients.map((recipient) => remote.times(recipient))).toEqual(recipients.map(() => 1));
    expect(tyto.output()).toContain(
      "nats-server stopped storing when the disk was full; it is started again",
    );
    expect(tyto.process("nats-server")?.pid).not.toBe(before);
    await tyto.message(await tyto.send(mail("last@good.test")), isDelivered);
  }, 300_000);
});
