import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "@tyto/service";
import { generate } from "selfsigned";

export type Certificate = { key: string; cert: string };

const validDays = 3_650;
const dayMs = 86_400_000;

/**
 * The key and certificate in `dir` (`key.pem`, `cert.pem`); made at the first start, replaced by putting a real pair
 * there. Senders encrypt opportunistically and check no name (RFC 3207 §4.1), so a self-signed one serves.
 */
export async function loadCertificate(
  dir: string,
  hostname: string,
  nowMs = Date.now(),
): Promise<Certificate> {
  const [keyFile, certFile] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const read = (file: string) =>
    readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
  const [key, cert] = await Promise.all([read(keyFile), read(certFile)]);
  if (key !== undefined && cert !== undefined) {
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error(
        `cert.pem in ${dir} is not the certificate of key.pem: put the pair there that belongs together`,
      );
    return { key, cert };
  }
  // A certificate of our own without its key is what a crash in the middle of making both leaves: worth nothing.
  if (key !== undefined || (cert !== undefined && !isSelfSigned(cert)))
    throw new Error(
      `${dir} holds only one of key.pem and cert.pem: add the other, or remove it to have both made`,
    );

  const made = await generate([{ name: "commonName", value: hostname }], {
    keySize: 2_048,
    algorithm: "sha256",
    notBeforeDate: new Date(nowMs - dayMs),
    notAfterDate: new Date(nowMs + validDays * dayMs),
  });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeWhole(certFile, made.cert, 0o644);
  await writeWhole(keyFile, made.private, 0o600);
  return { key: made.private, cert: made.cert };
}

const isSelfSigned = (cert: string) => {
  const read = new X509Certificate(cert);
  return read.verify(read.publicKey);
};

/** Long enough to cost nothing, short enough for whoever has just renewed. */
const lookMs = 15_000;

/**
 * Looks whether the pair in `dir` was replaced and gives the new one to `use`. A pair that is incomplete or does not fit
 * together is logged once and changes nothing.
 */
export function watchCertificate(
  dir: string,
  inUse: Certificate,
  use: (certificate: Certificate) => void,
  log: Log,
  everyMs = lookMs,
): { stop(): void } {
  let [last, complainedOf] = [inUse, ""];
  const look = async () => {
    const [key, cert] = await Promise.all([
      readFile(join(dir, "key.pem"), "utf8"),
      readFile(join(dir, "cert.pem"), "utf8"),
    ]);
    if ((key === last.key && cert === last.cert) || key + cert === complainedOf) return;
    try {
      if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
        throw new Error("the certificate is not of this key");
      use({ key, cert });
      last = { key, cert };
      log.info("certificate.replaced", { validTo: new X509Certificate(cert).validTo });
    } catch (error) {
      complainedOf = key + cert;
      log.error("certificate.unusable", { dir, error });
    }
  };
  const timer = setInterval(() => {
    // Between the two files of a new pair one may be missing.
    look().catch((error: unknown) => log.debug("certificate.unreadable", { error }));
  }, everyMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** By rename: the file is complete or absent. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await rename(`${file}.new`, file);
}
