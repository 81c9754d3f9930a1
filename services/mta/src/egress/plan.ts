import { isIP } from "node:net";
import { Domain, OrganizationId, type QueueEntry, Traffic } from "@tyto/contracts";
import { z } from "zod";
import type { Egress } from "../egress.ts";

/** Since when an address sends: `warm` has no caps, `new` begins with its first message, else its first day in UTC. */
export type Since = "warm" | "new" | { date: string };

export type PlannedEgress = Egress & { since: Since };

/** Which addresses share the mail that is sent through a pool; those with twice the weight get twice the mail. */
export type EgressPool = {
  name: string;
  members: readonly { id: string; weight: number }[];
  /** What no member may send now goes to another provider instead of waiting. */
  overflows: boolean;
};

/** The first use that fits a message says which pool it takes. An absent field fits everything. */
export type PoolUse = {
  pool: string;
  traffic?: Traffic | undefined;
  organization?: string | undefined;
  domain?: string | undefined;
};

export type EgressPlan = {
  egresses: readonly PlannedEgress[];
  /** Never empty: without pools in the file there is one of all addresses, named `default`. */
  pools: readonly EgressPool[];
  uses: readonly PoolUse[];
};

/** Without a file: the address that the system chooses, known for long. */
export const plainPlan = (ehloName: string): EgressPlan => ({
  egresses: [{ id: "system", ehloName, since: "warm" }],
  pools: [everyone(["system"])],
  uses: [],
});

const egressesMax = 1_000;
const nameRule = "names have lower-case letters, digits and hyphens, 40 at most";
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, nameRule);
/** A date without quotes is a date to TOML. */
const since = z.coerce
  .string()
  .refine(
    (text) => text === "warm" || text === "new" || z.iso.date().safeParse(text).success,
    'warming is "warm" for an address that has been sending, "new" for one that has not, or the day its warming began, such as "2026-11-20"',
  );
const weight = z.number().positive().max(1_000);

const File = z.strictObject({
  egress: z.record(
    name,
    z.strictObject({
      ip: z
        .string()
        .refine((text) => isIP(text) !== 0, "ip is an IPv4 or IPv6 address of this machine")
        .optional(),
      ehlo: Domain,
      proxy: z
        .string()
        .regex(/^(socks5|http):\/\/\S+:\d{1,5}$/, "proxy looks like socks5://host:port or http://host:port")
        .optional(),
      warming: since,
    }),
    {
      error: ({ code }) => (code === "invalid_key" ? nameRule : "needs a table such as [egress.mail1]"),
    },
  ),
  pool: z
    .record(
      name,
      z.strictObject({
        members: z.union([z.array(name).min(1), z.record(name, weight)], {
          error: 'members is a list such as ["mail1", "mail2"], or has weights: { mail1 = 3, mail2 = 1 }',
        }),
        overflow: z.boolean().optional(),
      }),
    )
    .optional(),
  use: z
    .array(
      z.strictObject({
        pool: name,
        traffic: Traffic.optional(),
        organization: OrganizationId.optional(),
        domain: Domain.optional(),
      }),
    )
    .optional(),
});

/** Reads the text of an egress file (TOML). Throws TypeError that says what is wrong, every fault in a line of its own. */
export function parsePlan(text: string): EgressPlan {
  const read = File.safeParse(parseToml(text));
  if (!read.success)
    throw new TypeError(
      read.error.issues
        .map(({ path, message }) => [path.join("."), message].filter(Boolean).join(": "))
        .join("\n"),
    );
  const egresses = Object.entries(read.data.egress).map(
    ([id, { ip, ehlo, proxy, warming }]): PlannedEgress => ({
      id,
      ehloName: ehlo,
      since: warming === "warm" || warming === "new" ? warming : { date: warming },
      ...(ip === undefined ? {} : { localIp: ip }),
      ...(proxy === undefined ? {} : { proxy }),
    }),
  );
  const ids = egresses.map(({ id }) => id);
  const written = Object.entries(read.data.pool ?? {}).map(([pool, { members, overflow }]) => ({
    name: pool,
    members: Array.isArray(members)
      ? members.map((id) => ({ id, weight: 1 }))
      : Object.entries(members).map(([id, share]) => ({ id, weight: share })),
    overflows: overflow ?? false,
  }));
  const pools = written.length === 0 ? [everyone(ids)] : written;
  const plan: EgressPlan = { egresses, pools, uses: read.data.use ?? [] };
  const faults = faultsOf(plan);
  if (faults.length > 0) throw new TypeError(faults.join("\n"));
  return plan;
}

/** The pool of a message: by the first use that fits, else the pool named as its traffic, else `default`, else the first. */
export function poolOf(
  plan: EgressPlan,
  entry: Pick<QueueEntry, "traffic" | "organizationId" | "domain">,
): EgressPool {
  const traffic = entry.traffic ?? "transactional";
  const use = plan.uses.find(
    (rule) =>
      (rule.traffic ?? traffic) === traffic &&
      (rule.organization ?? entry.organizationId) === entry.organizationId &&
      (rule.domain ?? entry.domain) === entry.domain,
  );
  const named = (wanted: string) => plan.pools.find((pool) => pool.name === wanted);
  const pool = (use && named(use.pool)) ?? named(traffic) ?? named("default") ?? plan.pools[0];
  if (pool === undefined) throw new TypeError("a plan has at least one pool");
  return pool;
}

const everyone = (ids: readonly string[]): EgressPool => ({
  name: "default",
  members: ids.map((id) => ({ id, weight: 1 })),
  overflows: false,
});

function faultsOf({ egresses, pools, uses }: EgressPlan): string[] {
  const ids = new Set(egresses.map(({ id }) => id));
  const names = new Set(pools.map((pool) => pool.name));
  const addresses = egresses.flatMap(({ localIp, proxy }) =>
    localIp === undefined ? [] : [`${localIp} ${proxy ?? ""}`],
  );
  return [
    ...(ids.size === 0 ? ["there is no egress; begin with a table such as [egress.mail1]"] : []),
    ...(ids.size > egressesMax ? [`there are more than ${egressesMax} egresses`] : []),
    ...addresses
      .filter((address, at) => addresses.indexOf(address) !== at)
      .map((address) => `two egresses have the address ${address.trim()}`),
    ...pools.flatMap((pool) => [
      ...(pool.members.length === 0 ? [`pool.${pool.name} has no members`] : []),
      ...pool.members
        .filter(({ id }) => !ids.has(id))
        .map(({ id }) => `pool.${pool.name} has the member "${id}", but there is no [egress.${id}]`),
    ]),
    ...uses
      .filter(({ pool }) => !names.has(pool))
      .map(({ pool }) => `a [[use]] names the pool "${pool}", but there is no [pool.${pool}]`),
  ];
}

function parseToml(text: string): unknown {
  try {
    return Bun.TOML.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new TypeError(`not TOML: ${error.message.replace(/^TOML Parse error: /, "")}`, { cause: error });
  }
}
