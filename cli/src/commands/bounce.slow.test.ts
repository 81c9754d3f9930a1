import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reason } from "@tyto/contracts";
import { root } from "../places.ts";

const reports = join(root, "packages/mail/fixtures/reports");
const oneOf = (name: string) => join(reports, `${name}.eml`);

async function tyto(words: readonly string[], stdin = "") {
  const child = Bun.spawn(["bun", join(root, "cli/src/main.ts"), ...words], {
    stdin: new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  return { code: await child.exited, lines: lines.map((line) => JSON.parse(line)), err };
}

test("a report gives one line for each recipient, in the order of the files", async () => {
  const files = [oneOf("postfix-two-recipients"), oneOf("qmail-no-mailbox-vpopmail"), oneOf("delivered")];
  const { code, lines, err } = await tyto(["bounce", "classify", ...files]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(lines.map(({ file }) => file)).toEqual([files[0], files[0], files[1], files[2], files[2]]);
  expect(lines[2]).toMatchObject({
    kind: "bounce",
    recipient: "ann@example.com",
    status: "5.1.1",
    reply: null,
    reason: "mailbox.unknown",
    fault: "recipient",
    hard: true,
    action: "failed",
  });
  expect(lines[3]).toMatchObject({
    kind: "bounce",
    reason: null,
    fault: null,
    hard: null,
    action: "delivered",
  });
});

test("standard input, an empty file and bytes of no sense are read; a missing file and a folder are named, after the others", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tyto-bounce-"));
  try {
    const [empty, noise] = [join(dir, "empty"), join(dir, "noise")];
    writeFileSync(empty, "");
    writeFileSync(
      noise,
      Uint8Array.from({ length: 50_000 }, (_, at) => Math.imul(at + 1, 2_654_435_761) >>> 24),
    );
    const mail = "From: ann@example.com\r\nSubject: Lunch?\r\n\r\nAt one?\r\n";
    const missing = join(dir, "missing.eml");
    const { code, lines, err } = await tyto(["mail", "parse", missing, "-", empty, dir, noise], mail);
    expect(code).toBe(1);
    expect(lines.map(({ file, kind }) => [file, kind])).toEqual([
      ["-", "mail"],
      [empty, "mail"],
      [noise, "mail"],
    ]);
    expect(err).toContain(missing);
    expect(err).toContain(`${dir} cannot be read`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a provider that is not known is told, and the reply read as anybody's", async () => {
  const reply = "550 5.1.1 no such user";
  const slip = await tyto(["bounce", "reply", reply, "--provider", "gmial"]);
  expect(slip).toMatchObject({ code: 0, lines: [{ reason: "mailbox.unknown" }] });
  expect(slip.err).toContain('no provider is known here as "gmial"');
  expect((await tyto(["bounce", "reply", reply, "--provider", "mx.example.net"])).err).toBe("");
});

test("a reply is classified, by its provider where that matters; what is no reply is refused", async () => {
  const reply = "550 5.4.1 Recipient address rejected: Access denied.";
  const [line] = (await tyto(["bounce", "reply", reply, "--provider", "microsoft"])).lines;
  expect(line).toMatchObject({
    reply,
    status: "5.4.1",
    reason: "mailbox.unknown",
    hard: true,
    action: "failed",
  });
  const [soft] = (await tyto(["bounce", "reply", "452 4.2.2 Mailbox full"])).lines;
  expect(soft).toMatchObject({ reason: "mailbox.full", hard: false, action: "delayed" });
  const { code, err } = await tyto(["bounce", "reply", "go away"]);
  expect(code).toBe(1);
  expect(err).toContain("no SMTP reply");
});

test("all the cases in one call give a line each, with words of our vocabulary", async () => {
  const files = readdirSync(reports)
    .filter((file) => file.endsWith(".eml"))
    .map((file) => join(reports, file));
  const { code, lines } = await tyto(["bounce", "classify", ...files]);
  expect(code).toBe(0);
  expect(new Set(lines.map(({ file }) => file)).size).toBe(files.length);
  for (const { kind, reason, action } of lines) {
    expect(kind).toBe("bounce");
    if (action === "failed" || action === "delayed") expect(Reason.options).toContain(reason);
  }
});
