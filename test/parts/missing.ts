import { networkInterfaces } from "node:os";
import { postfixMissing } from "./postfix.ts";

/** Why a test cannot run here, printed once; undefined when it can. A skip is never silent. */
export function missing(what: string, ...needs: (string | undefined)[]): boolean {
  const reasons = needs.filter((need) => need !== undefined);
  if (reasons.length === 0) return false;
  process.stderr.write(`skipped: ${what}: ${reasons.join("; ")}\n`);
  return true;
}

const programs = (...names: string[]) =>
  names.some((name) => Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` }) !== null);

export const needs = {
  postfix: postfixMissing,
  nats: () => (programs("nats-server") ? undefined : "nats-server is missing (./tyto test provides it)"),
  clamd: () => (programs("clamd") ? undefined : "clamd is missing (./tyto test provides it)"),
  chromium: () =>
    programs("chromium", "chromium-browser") ? undefined : "chromium is missing (apt-get install chromium)",
  ipv6: () =>
    Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ address }) => address === "::1"),
    )
      ? undefined
      : "this machine has no IPv6, not even ::1 (containers often have none)",
};
