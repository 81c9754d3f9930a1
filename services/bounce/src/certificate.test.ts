import { afterEach, beforeEach, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "@tyto/service";
import { type Certificate, loadCertificate, watchCertificate } from "./certificate.ts";

let dir: string;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), "tyto-tls-")), "made-at-first-start");
});
afterEach(() => rm(join(dir, ".."), { recursive: true, force: true }));

test("the first start makes a pair that fits together, and only its owner reads the key", async () => {
  const { key, cert } = await loadCertificate(dir, "mail.example.com");
  const read = new X509Certificate(cert);
  expect(read.subject).toContain("mail.example.com");
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(new Date(read.validFrom).getTime()).toBeLessThan(Date.now());
  expect(new Date(read.validTo).getTime()).toBeGreaterThan(Date.now() + 5 * 365 * 86_400_000);
  expect((await stat(join(dir, "key.pem"))).mode & 0o777).toBe(0o600);
  expect(await loadCertificate(dir, "mail.example.com")).toEqual({ key, cert });
});

test("a crash between the two files is mended by the next start", async () => {
  const first = await loadCertificate(dir, "mail.example.com");
  await unlink(join(dir, "key.pem"));
  const second = await loadCertificate(dir, "mail.example.com");
  expect(second.cert).not.toBe(first.cert);
  expect(new X509Certificate(second.cert).checkPrivateKey(createPrivateKey(second.key))).toBe(true);
});

test("a key of somebody without its certificate is never overwritten", async () => {
  await loadCertificate(dir, "mail.example.com");
  await unlink(join(dir, "cert.pem"));
  await writeFile(join(dir, "key.pem"), "somebody's key");
  await expect(loadCertificate(dir, "mail.example.com")).rejects.toThrow("only one of key.pem and cert.pem");
  expect(await Bun.file(join(dir, "key.pem")).text()).toBe("somebody's key");
});

test("a pair that does not belong together stops the start with words that say so", async () => {
  const { key } = await loadCertificate(dir, "mail.example.com");
  await rm(dir, { recursive: true });
  await loadCertificate(dir, "mail.example.com");
  await writeFile(join(dir, "key.pem"), key);
  await expect(loadCertificate(dir, "mail.example.com")).rejects.toThrow("is not the certificate of key.pem");
});

test("a new pair is taken while it runs; half of one, or one that does not fit, is not", async () => {
  const first = await loadCertificate(dir, "mail.example.com");
  const elsewhere = `${dir}-real`;
  const real = await loadCertificate(elsewhere, "mail.real.example");
  const taken: Certificate[] = [];
  const problems: string[] = [];
  const log = { ...silentLog, error: (event: string) => void problems.push(event) };
  /** Whole at once: half of a file would be a pair of its own to complain of. */
  const put = async (name: string, text: string) => {
    await writeFile(join(dir, "put"), text);
    await rename(join(dir, "put"), join(dir, name));
  };
  const watch = watchCertificate(dir, first, (certificate) => void taken.push(certificate), log, 2);
  try {
    await put("cert.pem", real.cert);
    while (problems.length === 0) await Bun.sleep(1);
    expect(problems).toEqual(["certificate.unusable"]);
    expect(taken).toEqual([]);
    await put("key.pem", real.key);
    while (taken.length === 0) await Bun.sleep(1);
    expect(taken).toEqual([real]);
  } finally {
    watch.stop();
  }
});
