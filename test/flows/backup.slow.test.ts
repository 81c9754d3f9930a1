/** Mail, keys and files survive the machine: a backup of a running Tyto becomes another Tyto on an empty folder. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CountingServer, startCountingServer } from "../parts/counting-server.ts";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { until } from "../parts/until.ts";

const skip = missing("backup and restore", needs.nats());
const root = join(import.meta.dir, "../..");
const passphrase = "a passphrase for the test";

describe.skipIf(skip)("a backup", () => {
  let directory = "";
  let receiver: CountingServer;
  let tyto: Installation;
  let restored: Installation | undefined;
  let sentIds: string[] = [];
  const file = () => join(directory, "tyto.backup");

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "tyto-backup-"));
    receiver = await startCountingServer();
    tyto = await startInstallation({ routes: { "*": receiver.address } });
    await tyto.addDomain("sender.test");
    sentIds = await Promise.all(Array.from({ length: 20 }, (_, n) => send(`person-${n}@good.test`)));
    // Events are recorded in any order: all of a message's are there before the backup is made.
    for (const id of sentIds)
      await tyto.message(id, (it) => it.status === "delivered" && it.timeline.length >= 2);
    await receiveMail("postmaster@sender.test");
    await until("the received mail is stored", async () => (await stored(tyto.dataDir)) > 0, {
      withinMs: 60_000,
    });
  }, 300_000);

  afterAll(async () => {
    await restored?.stop();
    await tyto?.stop();
    await receiver?.stop();
    await rm(directory, { recursive: true, force: true });
  }, 300_000);

  const send = (to: string) =>
    tyto.send({ from: "Ann <ann@sender.test>", to, subject: "Hello", text: "Text" });

  /** Files of their own that Convex has of received mail: small ones lie in the database. */
  const stored = async (dataDir: string) =>
    Array.from(new Bun.Glob("*").scanSync(join(dataDir, "convex/storage"))).length;

  function receiveMail(to: string): Promise<void> {
    const lines = [
      "EHLO remote.test",
      "MAIL FROM:<someone@remote.test>",
      `RCPT TO:<${to}>`,
      "DATA",
      `From: someone@remote.test\r\nTo: ${to}\r\nSubject: A question\r\n\r\n${"Is anybody there?\r\n".repeat(5_000)}.`,
      "QUIT",
    ];
    return new Promise((resolve, reject) => {
      const socket = createConnection(tyto.bouncePort, "127.0.0.1");
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString();
        // A reply has ended when a line has a space after its code (RFC 5321 §4.2).
        if (!/(?:^|\n)\d{3} [^\n]*\n$/.test(text)) return;
        if (/^[45]/.test(text)) reject(new Error(text));
        text = "";
        const next = lines.shift();
        if (next !== undefined) socket.write(`${next}\r\n`);
      });
      socket.on("close", () => resolve());
      socket.on("error", reject);
    });
  }

  async function run(args: string[], env: Record<string, string> = {}) {
    const child = Bun.spawn([process.execPath, "cli/src/main.ts", ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", TYTO_BACKUP_PASSPHRASE: passphrase, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, text: stdout + stderr };
  }

  test("is made while mail goes through, and everything in it is as of one moment", async () => {
    const [made] = await Promise.all([
      run(["backup", file(), "--data", tyto.dataDir]),
      Promise.all(Array.from({ length: 20 }, (_, n) => send(`meanwhile-${n}@good.test`))),
    ]);
    expect(made).toMatchObject({ code: 0, text: expect.stringContaining("written and read back") });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const bytes = await readFile(file());
    for (const secret of ["MTA_SECRET", "CONVEX_ADMIN_KEY", tyto.secret("MTA_API_KEY"), "person-1@good.test"])
      expect(bytes.includes(secret)).toBe(false);
    const checked = await run(["restore", file(), "--check"]);
    expect(checked).toMatchObject({ code: 0, text: expect.stringContaining("the backup is whole") });
  }, 300_000);

  test("is refused where something is, with a wrong passphrase, and when it is damaged, and leaves nothing", async () => {
    const target = join(directory, "nowhere");
    const again = await run(["backup", file(), "--data", tyto.dataDir]);
    expect(again).toMatchObject({ code: 1, text: expect.stringContaining("exists already") });
    const occupied = await run(["restore", file(), "--data", tyto.dataDir]);
    expect(occupied).toMatchObject({ code: 1, text: expect.stringContaining("is not empty") });
    const wrong = await run(["restore", file(), "--data", target], { TYTO_BACKUP_PASSPHRASE: "another one" });
    expect(wrong).toMatchObject({ code: 1, text: expect.stringContaining("not the passphrase") });
    const bytes = await readFile(file());
    const damaged = join(directory, "damaged.backup");
    bytes[bytes.byteLength - 1000] = (bytes[bytes.byteLength - 1000] ?? 0) ^ 1;
    await writeFile(damaged, bytes);
    const broken = await run(["restore", damaged, "--data", target]);
    expect(broken).toMatchObject({ code: 1, text: expect.stringContaining("damaged") });
    expect(Array.from(new Bun.Glob("nowhere*").scanSync({ cwd: directory, onlyFiles: false }))).toEqual([]);
  }, 300_000);

  test("becomes an installation with the same mail, files, keys and secrets, which sends again", async () => {
    const dataDir = join(directory, "empty-machine");
    const back = await run(["restore", file(), "--data", dataDir]);
    expect(back).toMatchObject({ code: 0, text: expect.stringContaining("now: ./tyto up") });
    const expected = await tyto.message(sentIds[0] ?? "");
    const files = await stored(tyto.dataDir);
    const records = await (await tyto.call("GET", "/v1/domains/sender.test")).json();
    await tyto.stop();
    restored = await startInstallation({ routes: { "*": receiver.address }, dataDir });
    expect(restored.secret("MTA_SECRET")).toBe(tyto.secret("MTA_SECRET"));
    expect(await restored.message(sentIds[0] ?? "")).toEqual(expected);
    for (const id of sentIds) expect((await restored.message(id)).status).toBe("delivered");
    expect(await stored(dataDir)).toBe(files);
    const view = (await (await restored.call("GET", "/v1/domains/sender.test")).json()) as {
      records: object[];
    };
    const values = ({ records }: { records: object[] }) =>
      records.map((record) => ("value" in record ? record.value : undefined));
    expect(values(view)).toEqual(values(records as { records: object[] }));
    const id = await restored.send({
      from: "Ann <ann@sender.test>",
      to: "new@good.test",
      subject: "Again",
      text: "Text",
    });
    await restored.message(id, (it) => it.status === "delivered");
    expect(receiver.times("new@good.test")).toBe(1);
  }, 300_000);

  test("of a stopped installation has the mail that waits, too", async () => {
    const dataDir = restored?.dataDir ?? "";
    const later = await restored?.send({
      from: "Ann <ann@sender.test>",
      to: "later@good.test",
      subject: "Later",
      text: "Text",
      scheduled_at: new Date(Date.now() + 3600_000).toISOString(),
    });
    await restored?.message(later ?? "", (it) => it.status === "scheduled");
    const archive = join(directory, "stopped.backup");
    // Stopping by hand: `stop` of the part would delete the data.
    process.kill(Number(JSON.parse(await readFile(join(dataDir, "running.json"), "utf8")).pid), "SIGTERM");
    await until("it has stopped", async () => !(await Bun.file(join(dataDir, "running.json")).exists()), {
      withinMs: 60_000,
      everyMs: 100,
    });
    const made = await run(["backup", archive, "--data", dataDir]);
    expect(made.code).toBe(0);
    const target = join(directory, "third");
    expect(await run(["restore", archive, "--data", target])).toMatchObject({
      code: 0,
      text: expect.stringContaining("with the queue"),
    });
    const third = await startInstallation({ routes: { "*": receiver.address }, dataDir: target });
    try {
      await third.message(later ?? "", (it) => it.status === "scheduled");
      const cancelled = await third.call("POST", `/v1/emails/${later}/cancel`);
      expect([cancelled.status, await cancelled.text()]).toEqual([200, expect.any(String)]);
    } finally {
      await third.stop();
    }
  }, 300_000);
});
