/** Where the secret comes from that seals a backup: a key file, the environment, or the person at the keyboard. */
import { readFile } from "node:fs/promises";
import type { Environment } from "../places.ts";
import { Trouble } from "../trouble.ts";
import { type KeySource, keyFileBytesMin, passphraseCharsMin } from "./key.ts";

export const keyUsage = [
  "  --key-file FILE  the key is the bytes of a file, such as `head -c 32 /dev/urandom` makes, instead of a passphrase",
  "",
  "The passphrase is asked for, or taken from TYTO_BACKUP_PASSPHRASE.",
].join("\n");

/** Asks twice when the passphrase is a new one. */
export async function findKeySource(
  keyFile: string | undefined,
  env: Environment,
  isNew: boolean,
): Promise<KeySource> {
  if (keyFile !== undefined) return fromFile(keyFile);
  const given = env.TYTO_BACKUP_PASSPHRASE || (await ask(isNew));
  if (isNew && given.length < passphraseCharsMin)
    throw new Trouble(
      `a passphrase has at least ${passphraseCharsMin} characters; this one is easily guessed`,
    );
  return { kind: "passphrase", secret: Buffer.from(given.normalize("NFC")) };
}

async function fromFile(path: string): Promise<KeySource> {
  const secret = await readFile(path).catch((error: unknown) => {
    throw new Trouble(`the key file ${path} cannot be read`, String(error));
  });
  if (secret.byteLength < keyFileBytesMin)
    throw new Trouble(`the key file has ${secret.byteLength} bytes; at least ${keyFileBytesMin} are needed`);
  return { kind: "key-file", secret };
}

async function ask(isNew: boolean): Promise<string> {
  if (!process.stdin.isTTY)
    throw new Trouble("a passphrase is needed", "set TYTO_BACKUP_PASSPHRASE, or give --key-file FILE");
  const first = await readHidden("Passphrase: ");
  if (isNew && first !== (await readHidden("Again: "))) throw new Trouble("the two are not the same");
  return first;
}

const ENTER = new Set(["\r", "\n", "\u0004"]);
const INTERRUPT = "\u0003";
const ERASE = new Set(["\u007f", "\b"]);

/** Reads a line from the terminal without showing it. */
function readHidden(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let text = "";
    const end = () => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
    };
    const take = (bytes: Buffer) => {
      for (const char of bytes.toString()) {
        if (char === INTERRUPT) {
          end();
          reject(new Trouble("stopped"));
          return;
        }
        if (ENTER.has(char)) {
          end();
          resolve(text);
          return;
        }
        text = ERASE.has(char) ? text.slice(0, -1) : text + char;
      }
    };
    stdin.on("data", take);
  });
}
