import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
  if (key !== undefined && cert !== undefined) return { key, cert };
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

/** By rename: the file is complete or absent. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await rename(`${file}.new`, file);
}
