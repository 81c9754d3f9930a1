import { afterEach, beforeEach, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCertificate } from "./certificate.ts";

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
