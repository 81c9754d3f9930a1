/** How long this processor takes to sign a message with both kinds of keys, in ms, on standard output: a program for signing-speed.ts. */
import { generateKeyPairSync, sign } from "node:crypto";

const rounds = 100;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey;
const ed25519 = generateKeyPairSync("ed25519").privateKey;
const data = Buffer.alloc(500, "a");

// The least of all rounds: whatever else the machine does can only make one longer.
let leastMs = Number.POSITIVE_INFINITY;
for (let round = 0; round < rounds; round++) {
  const startedMs = performance.now();
  sign("sha256", data, rsa);
  sign(undefined, data, ed25519);
  leastMs = Math.min(leastMs, performance.now() - startedMs);
}
process.stdout.write(String(leastMs));
