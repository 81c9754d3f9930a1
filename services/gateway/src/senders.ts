/**
 * From which addresses the mta sends, for the SPF records of domains. The running processes know (`mta.pools`); what they
 * said is remembered for an hour, so that one that starts again takes no address out of any record.
 */
import type { Bus } from "@tyto/bus";
import { DnsError, type Resolver } from "@tyto/dns";
import { BoundedMap, type Log } from "@tyto/service";
import { isName, mechanismOf, mechanismOfIp } from "./spf.ts";

export type SenderPorts = {
  control: Pick<Bus["control"], "askAll">;
  resolver: Pick<Resolver, "a" | "aaaa">;
  mailHostname: string;
  now(): number;
  log: Pick<Log, "warn">;
};

export type Senders = {
  /** SPF mechanisms of all of them; none while no mta has ever been heard. Never throws. */
  mechanisms(): Promise<readonly string[]>;
};

const askEveryMs = 60_000;
/** While nobody answers. */
const askAgainMs = 5_000;
const rememberMs = 3_600_000;
const sendersMax = 1_000;
/**
 * Names beside the mail host's. A name without an address of the sender's family is a void look-up, and receivers give up
 * at the third one (RFC 7208 §4.6.4): with more names than these, each stands with its addresses instead.
 */
const namesMax = 2;

export function createSenders({ control, resolver, mailHostname, now, log }: SenderPorts): Senders {
  const heardAtMs = new BoundedMap<string, number>(sendersMax);
  const addresses = new BoundedMap<string, readonly string[]>(sendersMax);
  let known: readonly string[] = [];
  let askAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;

  /** Whether anybody answered. */
  async function hear(): Promise<boolean> {
    const { answers } = await control.askAll("mta.pools", {});
    for (const { egresses } of answers.flatMap(({ pools }) => pools))
      for (const egress of egresses) {
        const mechanism = mechanismOf(egress);
        if (mechanism !== undefined) heardAtMs.set(mechanism, now());
      }
    for (const [mechanism, atMs] of heardAtMs) if (now() - atMs > rememberMs) heardAtMs.delete(mechanism);
    return answers.length > 0;
  }

  /** What a name leads to, or led to when DNS last said. */
  async function addressesOf(name: string): Promise<readonly string[]> {
    try {
      const { records: four } = await resolver.a(name);
      const { records: six } = await resolver.aaaa(name);
      addresses.set(name, [...four, ...six].map(mechanismOfIp));
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      log.warn("domain.sender-unresolved", { name, error });
    }
    return addresses.get(name) ?? [];
  }

  async function look(): Promise<void> {
    let isAnswered = false;
    try {
      isAnswered = await hear();
      const all = [...heardAtMs.keys()].filter((mechanism) => mechanism !== `a:${mailHostname}`);
      const names = all.filter(isName);
      known =
        names.length <= namesMax
          ? all
          : [
              ...all.filter((mechanism) => !isName(mechanism)),
              ...(
                await Promise.all(names.map((mechanism) => addressesOf(mechanism.slice("a:".length))))
              ).flat(),
            ];
    } catch (error) {
      log.warn("domain.senders-unknown", { error });
    }
    askAtMs = now() + (isAnswered ? askEveryMs : askAgainMs);
  }

  return {
    async mechanisms() {
      if (now() >= askAtMs) {
        asking ??= look().finally(() => {
          asking = undefined;
        });
        await asking;
      }
      return known;
    },
  };
}
