import type { FlowState, HoldList, HoldView, QueueView, SiteDetail } from "@tyto/contracts";
import type { z } from "zod";

/** Where copies of one message wait, and why. */
export type WaitingSite = {
  site: string;
  provider: string | undefined;
  state: FlowState;
  until: string | undefined;
  why: string | undefined;
  /** When the first of its copies becomes due; undefined when one is due now. */
  nextAt: string | undefined;
};
export type Waiting = { sites: WaitingSite[]; holds: HoldView[] };

type Get = <Answer>(path: string) => Promise<Answer>;
type Row = QueueView["rows"][number];
const sitesMax = 20;

/** Asks the gateway why a message has not left: what its sites say, and what is held over it. */
export async function askWaiting(get: Get, messageId: string): Promise<Waiting> {
  const rowsBy = async (by: QueueView["by"]) =>
    (await get<QueueView>(`/v1/queue?by=${by}&message_id=${encodeURIComponent(messageId)}&limit=${sitesMax}`))
      .rows;
  const rows = await rowsBy("site");
  if (rows.length === 0) return { sites: [], holds: [] };
  const { data: all } = await get<z.infer<typeof HoldList>>("/v1/holds");
  const isOfSender = all.some(({ scope }) => scope === "campaign" || scope === "organization");
  const [details, campaigns, organizations] = await Promise.all([
    Promise.all(rows.map((row) => detailOf(get, row))),
    isOfSender ? rowsBy("campaign") : [],
    isOfSender ? rowsBy("organization") : [],
  ]);
  const sites = rows.map(({ key }) => key);
  const senders = organizations.flatMap((organization) =>
    campaigns.map(({ key }) => `${organization.key}/${key}`),
  );
  const ids: Record<Exclude<HoldView["scope"], "everything">, string[]> = {
    site: sites,
    domain: details.flatMap((detail) => (detail === undefined ? [] : [detail.domain])),
    organization: organizations.map(({ key }) => key),
    campaign: [...campaigns.map(({ key }) => key), ...senders],
  };
  const holds = all.filter(
    ({ scope, id, site }) =>
      (scope === "everything" || ids[scope].includes(id)) && (site === undefined || sites.includes(site)),
  );
  return {
    // A site that is held says what its hold says.
    sites: rows
      .map((row, place) => siteOf(row, details[place]))
      .filter(({ state }) => state !== "held" || holds.length === 0),
    holds,
  };
}

/** Only where the queue itself gives no reason: an address of ours may still be left alone there. */
const detailOf = async (get: Get, { key, why }: Row): Promise<SiteDetail | undefined> =>
  why === undefined ? await get<SiteDetail>(`/v1/sites/${encodeURIComponent(key)}`) : undefined;

function siteOf({ key, provider, state, until, why, ready, next_at }: Row, detail?: SiteDetail): WaitingSite {
  const limits = detail?.state?.limits ?? [];
  const stopped = limits.find((limit) => limit.state !== "open" && limit.why !== undefined);
  return {
    ...{ site: key, provider },
    ...(stopped?.why === undefined
      ? { state, until, why }
      : { state: stopped.state, until: stopped.until, why: `${stopped.egress}: ${stopped.why}` }),
    nextAt: ready > 0 ? undefined : next_at,
  };
}
