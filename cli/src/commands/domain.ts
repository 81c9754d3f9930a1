import { type DnsRecordView, DomainView } from "@tyto/contracts";
import { z } from "zod";
import { type Api, apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, marks, say, table } from "../screen.ts";
import { Trouble } from "../trouble.ts";

export const command: Command = {
  usage: [
    "tyto domain list              the sending domains and their states",
    "tyto domain add DOMAIN        sets it up, and tells the DNS records to publish",
    "tyto domain show DOMAIN       its DNS records, and what was found",
    "tyto domain check DOMAIN      looks its DNS records up now",
    "tyto domain rotate DOMAIN     makes its next signing keys; they sign once DNS shows their records",
    "",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const { values, positionals } = parseArguments(argv, apiOptions, this.usage, {
      needs: [`the action (${Object.keys(actions).join(", ")})`],
      most: 2,
    });
    const [action = "", domain] = positionals;
    const act = actions[action];
    if (act === undefined) throw new Trouble(`there is no "tyto domain ${action}"`, this.usage);
    if (action !== "list" && domain === undefined) throw new Trouble("the DOMAIN is missing", this.usage);
    const lines = await act(await findApi(values, environment()), domain ?? "");
    for (const line of lines) say(line);
    return 0;
  },
};

const ask = async (api: Api, method: "GET" | "POST", path: string, body?: unknown) =>
  DomainView.parse(await callApi(api, method, path, body));
const one = async (api: Api, method: "GET" | "POST", domain: string, what = "") =>
  describeDomain(await ask(api, method, `/v1/domains/${encodeURIComponent(domain)}${what}`));

const actions: Record<string, (api: Api, domain: string) => Promise<string[]>> = {
  async list(api) {
    const { data } = z.object({ data: z.array(DomainView) }).parse(await callApi(api, "GET", "/v1/domains"));
    if (data.length === 0)
      return ["no domain is set up; add one with ./tyto domain add DOMAIN or on the dashboard"];
    return table(
      data.map(({ domain, state, rotation }) => [
        domain,
        state,
        rotation?.started_at === undefined ? "" : "new keys wait for DNS",
      ]),
    );
  },
  async add(api, domain) {
    const added = await ask(api, "POST", "/v1/domains", { domain });
    const hasKeys = added.records.some(({ purpose }) => purpose === "dkim");
    return [
      ...describeDomain(added),
      "",
      ...(hasKeys ? [] : [`its DKIM keys are being made: see them with ./tyto domain show ${added.domain}`]),
      `publish these records, then: ./tyto domain check ${added.domain}`,
    ];
  },
  show: (api, domain) => one(api, "GET", domain),
  check: (api, domain) => one(api, "POST", domain, "/check"),
  rotate: (api, domain) => one(api, "POST", domain, "/rotate-keys"),
};

const found: Record<DnsRecordView["state"], string> = {
  unchecked: marks.partly,
  found: marks.ok,
  missing: marks.bad,
  different: marks.bad,
  unreachable: marks.partly,
};

/** A domain for people: its state, each record as it is to be published, and what its keys wait for. */
export function describeDomain({ domain, state, records, rotation }: DomainView): string[] {
  const of = (stage: DnsRecordView["stage"]) =>
    records
      .filter((record) => record.stage === stage)
      .flatMap(({ state: seen, type, name, value, required }) => [
        `${found[seen]} ${type}  ${name}  ${colours.dim(required || stage !== undefined ? seen : `${seen}, recommended`)}`,
        `    ${value}`,
      ]);
  const group = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ["", colours.bold(title), ...lines];
  return [
    `${colours.bold(domain)}  ${state}`,
    ...of(undefined),
    ...group("Next keys: publish these beside the others; once all are found, they sign", of("next")),
    ...group(
      `Old keys: keep these until ${rotation?.keep_until ?? "they are gone"}, then remove them`,
      of("old"),
    ),
  ];
}
