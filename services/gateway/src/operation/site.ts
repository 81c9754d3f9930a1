import { type ControlAnswer, type Hold, isDomain, type RecentReply, SiteDetail } from "@tyto/contracts";
import type { z } from "zod";
import { mergeReplies, mergeSite, mergeWaits } from "./merge.ts";
import { holdsOf, type OperationPorts } from "./ports.ts";
import { shown } from "./view.ts";

type Found = ControlAnswer<"mta.site">;
type Told = ControlAnswer<"mta.replies">;

/** A site as a domain leads to it, or by its own id: its servers are those of the domain that it answered for last. */
export async function viewSite(ports: OperationPorts, name: string): Promise<z.infer<typeof SiteDetail>> {
  const heard = isDomain(name) ? undefined : await tellReplies(ports, name);
  const domain = heard === undefined ? name : repliesOf(heard)[0]?.domain;
  const found: Found =
    domain === undefined
      ? { domain: name, site: name, hosts: [], policies: [] }
      : await ports.control.ask("mta.site", { domain });
  const site = heard === undefined ? (found.site ?? name) : name;
  const [told, before, counted, { holds, measures = [] }] = await Promise.all([
    heard ?? tellReplies(ports, site),
    // What ended in DNS is told as the domain's, which had no site then.
    site === found.domain ? [] : tellReplies(ports, found.domain),
    ports.control.ask("mta.queue", { by: "site", filter: { site }, rowsMax: 1 }),
    holdsOf(ports),
  ]);
  // The same in every process: it comes from the settings.
  const ceiling = told.find((answer) => answer.ceiling !== undefined)?.ceiling;
  const state = mergeSite(told.flatMap((answer) => answer.state ?? []));
  const heardLast = mergeWaits(
    [...told, ...before].map((answer) => ({ waits: answer.wait === undefined ? [] : [answer.wait] })),
  );
  const wait = state?.why === undefined ? (heardLast.get(site) ?? heardLast.get(found.domain)) : undefined;
  return shown(SiteDetail, {
    ...found,
    ...(heard === undefined ? {} : { site }),
    ...(state === undefined ? {} : { state }),
    ...(ceiling === undefined ? {} : { ceiling }),
    waiting: {
      ...counted.total,
      ...(wait === undefined || counted.total.entries === 0 ? {} : { why: wait.why }),
    },
    replies: repliesOf([...told, ...before]),
    holds: holds.filter((hold) => isAbout(hold, site, found.domain)),
    measures: measures.filter((measure) => measure.site === site),
  });
}

const tellReplies = async ({ control }: OperationPorts, site: string): Promise<Told[]> =>
  (await control.askAll("mta.replies", { site })).answers;

const repliesOf = (told: readonly Told[]): RecentReply[] =>
  mergeReplies(told.flatMap(({ replies }) => replies));

const isAbout = ({ scope, id, site: at }: Hold, site: string, domain: string): boolean =>
  scope === "everything" ||
  at === site ||
  (scope === "site" && id === site) ||
  (scope === "domain" && id === domain);
