import type { Bucket, Bus } from "@tyto/bus";
import { defaultOrganization, phrase, type QuarantineKind, type QuarantineRecord } from "@tyto/contracts";
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
export class EgressWatch {
  readonly #ports: WatchPorts;
  readonly #checks: Map<string, Map<string, Check>>;
  readonly #records = new Map<string, { record: QuarantineRecord; revision: number }>();
  readonly #unbindable = new Set<string>();

  constructor(ports: WatchPorts) {
    this.#ports = ports;
    this.#checks = new Map(ports.plan.egresses.map(({ id }) => [id, new Map()]));
  }

  /** Looks whether addresses are this machine's, and whether their names are right: at start and every hour. */
  async checkNames(): Promise<void> {
    const { plan, resolver, isStrict } = this.#ports;
    await some(plan.egresses, async (egress) => {
      await this.#checkAddress(egress);
      const found = await checkReverse(egress, resolver);
      const finding: Finding = found.state === "wrong" && !isStrict ? { ...found, state: "warning" } : found;
      this.#note(egress.id, "reverse DNS", finding);
      await this.#apply(egress, "reverse-dns", finding);
    });
  }

  /** Asks the block lists: at start and every quarter of an hour. */
  async checkLists(): Promise<void> {
    const { plan, blocklists, resolver } = this.#ports;
    const watched = plan.egresses.flatMap((egress) =>
      egress.proxy === undefined && egress.localIp !== undefined && scopeOf(egress.localIp) === "public"
        ? [{ egress, ip: egress.localIp }]
        : [],
    );
    if (watched.length === 0) return;
    const ips = watched.map(({ ip }) => ip);
    await some(blocklists, async (list) => {
      const findings = await askBlocklist(list, ips, resolver);
      for (const { egress, ip } of watched) {
        const finding = findings.get(ip);
        if (finding === undefined) continue;
        this.#note(egress.id, list.zone, finding);
        if (list.takesOut) await this.#apply(egress, "listed", finding);
      }
    });
  }

  /** What the bucket holds, from its watch. */
  restore(key: string, record: QuarantineRecord | undefined, revision: number): void {
    if (record === undefined) this.#records.delete(key);
    else this.#records.set(key, { record, revision });
  }

  /** Why an address must not be used; `undefined` while it may be. */
  quarantineOf(id: string): string | undefined {
    if (this.#unbindable.has(id)) return this.#checks.get(id)?.get("address")?.say;
    const found = this.#records.get(`${id}.listed`) ?? this.#records.get(`${id}.reverse-dns`);
    return found?.record.why;
  }

  checksOf(id: string): Check[] {
    return [...(this.#checks.get(id)?.values() ?? [])];
  }

  async #checkAddress({ id, localIp, proxy }: PlannedEgress): Promise<void> {
    if (localIp === undefined || proxy !== undefined) return;
    const isOurs = await this.#ports.canBind(localIp);
    if (isOurs) this.#unbindable.delete(id);
    else this.#unbindable.add(id);
    const finding: Finding = isOurs
      ? { state: "fine", say: phrase("check.address", { ip: localIp }) }
      : { state: "wrong", say: phrase("check.no-address", { ip: localIp }) };
    this.#note(id, "address", finding);
  }

  #note(id: string, name: string, { state, say }: Finding): void {
    const { now, log } = this.#ports;
    const checks = this.#checks.get(id);
    const before = checks?.get(name);
    const ok = state === "fine" || state === "unknown";
    checks?.set(name, { name, ok, say, checkedAtMs: now() });
    if (!ok && before?.say !== say) log.warn("mta.egress-check", { egress: id, check: name, say });
  }

  /** Takes the address out or lets it in again; whoever of the processes stores it first tells it. */
  async #apply(egress: PlannedEgress, kind: QuarantineKind, finding: Finding): Promise<void> {
    const key = `${egress.id}.${kind}`;
    const known = this.#records.get(key);
    const { quarantines } = this.#ports;
    const judgement = judge(egress.id, kind, known?.record, finding, this.#ports.now());
    if (judgement.kind === "quarantine" && !(await this.#takeOut(egress, judgement.record))) return;
    if (known === undefined) return;
    if (judgement.kind === "note") await quarantines.update(key, judgement.record, known.revision);
    if (judgement.kind === "release") await this.#letIn(egress, known.record, known.revision);
  }

  /** False when another process was first. */
  async #takeOut(egress: PlannedEgress, record: QuarantineRecord): Promise<boolean> {
    const { quarantines, publish, log } = this.#ports;
    const { kind, why, since } = record;
    const key = `${egress.id}.${kind}`;
    if (!(await quarantines.create(key, record))) return false;
    log.warn("egress.quarantined", { egress: egress.id, kind, why });
    await publish("egress.quarantined", {
      id: `${key}.${since}.quarantined`,
      at: since,
      why,
      ...about(egress, kind),
    });
    return true;
  }

  async #letIn(egress: PlannedEgress, { kind, since }: QuarantineRecord, revision: number): Promise<void> {
    const { quarantines, publish, now, log } = this.#ports;
    const key = `${egress.id}.${kind}`;
    const at = now();
    if ((await quarantines.update(key, undefined, revision)) === undefined) return;
    log.info("egress.released", { egress: egress.id, kind });
    const id = `${key}.${since}.released`;
    await publish("egress.released", { id, at, quarantinedAt: since, ...about(egress, kind) });
  }
}

const about = (egress: PlannedEgress, kind: QuarantineKind) => ({
  ...{ organizationId: defaultOrganization, egress: egress.id, kind },
  ...ipOf(egress),
});

const ipOf = ({ localIp }: PlannedEgress) => (localIp === undefined ? {} : { ip: localIp });

/** Does `work` for each, `askedAtOnceMax` at a time. */
async function some<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const turn = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(askedAtOnceMax, items.length) }, turn));
}
