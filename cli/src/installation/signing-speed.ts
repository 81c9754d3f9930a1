/**
 * Signing with RSA is half of the mta's work. For it BoringSSL takes the instructions ADX where a processor has them. Some of AMD's
 * are an eighth faster with AVX2, which it takes where ADX is hidden from it; on others that is slower. Nothing but trying both tells.
 */
import { join } from "node:path";
import type { Environment } from "../places.ts";

/** Bit 19 of the second word of what the processor can: ADX (CPUID leaf 7, EBX). A colon stands before the second word. */
const withoutAdx = { OPENSSL_ia32cap: ":~0x80000" };
const clockMsMax = 10_000;
/** What is gained has to be more than what two measurements of the same differ by. */
const gainMin = 0.05;

/** Milliseconds for one message's signatures in this environment; undefined when it cannot be told. */
export type SigningClock = (environment: Environment) => Promise<number | undefined>;

/** The environment in which the mta signs fastest here: nothing, or ADX hidden. What the operator has set stays. */
export async function fastestSigning(
  { OPENSSL_ia32cap: given }: Environment,
  clock: SigningClock,
  architecture: string = process.arch,
): Promise<Record<string, string>> {
  if (given !== undefined && given !== "") return { OPENSSL_ia32cap: given };
  if (architecture !== "x64") return {};
  const usualMs = await clock({});
  const hiddenMs = await clock(withoutAdx);
  if (usualMs === undefined || hiddenMs === undefined) return {};
  return hiddenMs < usualMs * (1 - gainMin) ? withoutAdx : {};
}

/** Measures in a process of its own, since BoringSSL looks at its environment once. Takes some 0.3 s of CPU. */
export const signingClock =
  (root: string): SigningClock =>
  async (environment) => {
    const child = Bun.spawn(
      [process.execPath, "--no-env-file", join(root, "cli/src/installation/signing-clock.ts")],
      { env: environment, stdout: "pipe", stderr: "ignore", timeout: clockMsMax },
    );
    const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    const tookMs = Number(text);
    return code === 0 && tookMs > 0 ? tookMs : undefined;
  };
