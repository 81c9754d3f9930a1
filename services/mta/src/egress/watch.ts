import type { Bucket, Bus } from "@tyto/bus";
import { defaultOrganization, type QuarantineKind, type QuarantineRecord } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import type { Log } from "@tyto/service";
import { scopeOf } from "../mx.ts";
import { askBlocklist, type Blocklist } from "./blocklists.ts";
import type { Finding } from "./finding.ts";
import type { EgressPlan, PlannedEgress } from "./plan.ts";
import { judge } from "./quarantine.ts";
import { checkReverse } from "./reverse.ts";

export type WatchPorts = {
  plan: EgressPlan;
  /** Wrong reverse DNS takes an address out of its pools; else it only warns. */
  isStrict: boolean;
  resolver: Resolver;
  blocklists: readonly Blocklist[];
  /** Is this an address of this machine? */
  canBind(ip: string): Promise<boolean>;
  quarantines: Pick<Bucket<"QUARANTINES">, "create" | "update">;
  publish: Bus["publish"];
  now: () => number;
  log: Pick<Log, "info" | "warn">;
};

/** One thing that was looked at, as `EgressState.checks` has it. */
export type Check = { name: string; ok: boolean; say: string; checkedAtMs: number };

/** Lists, and addresses' reverse names, that are asked at a time. */
const askedAtOnceMax = 4;

/** Looks after the addresses that mail leaves through, and takes out of their pools those that receivers refuse. */
export function createEgressWatch(ports: WatchPorts) {
  const { plan, resolver, now, log } = ports;
  const checks = new Map<string, Map<string, Check>>(plan.egresses.map(({ id }) => [id, new Map()]));
  const records = new Map<string, { record: QuarantineRecord; revision: number }>();
  const unbindable = new Set<string>();

  function note(id: string, name: string, { state, say }: Finding) {
    const before = checks.get(id)?.get(name);
    const ok = state === "fine" || state === "unknown";
    checks.get(id)?.set(name, { name, ok, say, checkedAtMs: now() });
    if (!ok && before?.say !== say) log.warn("mta.egress-check", { egress: id, check: name, say });
  }

  /** Takes the address out or lets it in again; whoever of the processes stores it first tells it. */
  async function apply(egress: PlannedEgress, kind: QuarantineKind, finding: Finding): Promise<void> {
    const key = `${egress.id}.${kind}`;
    const known = records.get(key);
    const nowMs = now();
    const judgement = judge(egress.id, kind, known?.record, finding, nowMs);
    const about = { organizationId: defaultOrganization, egress: egress.id, kind, ...ipOf(egress) };
    if (judgement.kind === "quarantine") {
      const { record } = judgement;
      if (!(await ports.quarantines.create(key, record))) return;
      log.warn("egress.quarantined", { egress: egress.id, kind, why: record.why });
      const id = `${key}.${record.since}.quarantined`;
      await ports.publish("egress.quarantined", { id, at: record.since, why: record.why, ...about });
    }
    if (known === undefined) return;
    if (judgement.kind === "note") await ports.quarantines.update(key, judgement.record, known.revision);
    if (judgement.kind === "release") {
      if ((await ports.quarantines.update(key, undefined, known.revision)) === undefined) return;
      const quarantinedAt = known.record.since;
      log.info("egress.released", { egress: egress.id, kind });
      const id = `${key}.${quarantinedAt}.released`;
      await ports.publish("egress.released", { id, at: nowMs, quarantinedAt, ...about });
    }
  }

  return {
    /** Looks whether addresses are this machine's, and whether their names are right: at start and every hour. */
    async checkNames(): Promise<void> {
      await some(plan.egresses, async (egress) => {
        const { id, localIp, proxy } = egress;
        if (localIp !== undefined && proxy === undefined) {
          const isOurs = await ports.canBind(localIp);
          if (isOurs) unbindable.delete(id);
          else unbindable.add(id);
          note(
            id,
            "address",
            isOurs
              ? { state: "fine", say: `${localIp} is an address of this machine` }
              : { state: "wrong", say: `${localIp} is not an address of this machine` },
          );
        }
        const found = await checkReverse(egress, resolver);
        const finding: Finding =
          found.state === "wrong" && !ports.isStrict ? { ...found, state: "warning" } : found;
        note(id, "reverse DNS", finding);
        await apply(egress, "reverse-dns", finding);
      });
    },

    /** Asks the block lists: at start and every quarter of an hour. */
    async checkLists(): Promise<void> {
      const watched = plan.egresses.flatMap((egress) =>
        egress.proxy === undefined && egress.localIp !== undefined && scopeOf(egress.localIp) === "public"
          ? [{ egress, ip: egress.localIp }]
          : [],
      );
      if (watched.length === 0) return;
      const ips = watched.map(({ ip }) => ip);
      await some(ports.blocklists, async (list) => {
        const findings = await askBlocklist(list, ips, resolver);
        for (const { egress, ip } of watched) {
          const finding = findings.get(ip);
          if (finding === undefined) continue;
          note(egress.id, list.zone, finding);
          if (list.takesOut) await apply(egress, "listed", finding);
        }
      });
    },

    /** What the bucket holds, from its watch. */
    restore(key: string, record: QuarantineRecord | undefined, revision: number): void {
      if (record === undefined) records.delete(key);
      else records.set(key, { record, revision });
    },

    /** Why an address must not be used; `undefined` while it may be. */
    quarantineOf(id: string): string | undefined {
      if (unbindable.has(id)) return checks.get(id)?.get("address")?.say;
      const listed = records.get(`${id}.listed`) ?? records.get(`${id}.reverse-dns`);
      return listed?.record.why;
    },

    checksOf: (id: string): Check[] => [...(checks.get(id)?.values() ?? [])],
  };
}

export type EgressWatch = ReturnType<typeof createEgressWatch>;

const ipOf = ({ localIp }: PlannedEgress) => (localIp === undefined ? {} : { ip: localIp });

/** Does `work` for each, `askedAtOnceMax` at a time. */
async function some<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const turn = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(askedAtOnceMax, items.length) }, turn));
}
