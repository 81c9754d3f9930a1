/** The HTTP API of an installation, for commands. Problems become Troubles that say what to do. */
import { join } from "node:path";
import { ProblemView } from "@tyto/contracts";
import { findRunning } from "../installation/running.ts";
import { readSecrets } from "../installation/secrets.ts";
import { defaultPorts } from "../installation/settings.ts";
import { parseJson } from "../json.ts";
import { type Environment, places } from "../places.ts";
import { Trouble } from "../trouble.ts";

export type Api = { url: string; key: string };

/** Options that every command on a running installation takes. */
export const apiOptions = {
  url: { type: "string" },
  key: { type: "string" },
  data: { type: "string" },
} as const;

export const apiUsage = [
  "  --url URL    the gateway (default: the installation that runs on the data folder)",
  "  --key KEY    an API key (default: TYTO_API_KEY, else the installation's own)",
  "  --data DIR   data folder of the installation (default: data/, or TYTO_DATA)",
].join("\n");

export async function findApi(
  given: { url?: string | undefined; key?: string | undefined; data?: string | undefined },
  env: Environment,
): Promise<Api> {
  const { dataDir } = places({ ...env, ...(given.data === undefined ? {} : { TYTO_DATA: given.data }) });
  const running = given.url ? undefined : await findRunning(dataDir);
  const url = given.url ?? running?.gatewayUrl ?? `http://127.0.0.1:${defaultPorts.GATEWAY_PORT}`;
  const key = given.key ?? env.TYTO_API_KEY;
  return {
    url: url.replace(/\/+$/, ""),
    key: key ?? (await readSecrets(join(dataDir, "secrets.env"))).MTA_API_KEY,
  };
}

const answerMsMax = 60_000;

/** The JSON that the API answers. Throws Trouble for a problem answer and when nothing answers. */
export async function callApi(
  api: Api,
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<unknown> {
  let answer: Response;
  try {
    answer = await fetch(api.url + path, {
      method,
      headers: { authorization: `Bearer ${api.key}`, "content-type": "application/json" },
      signal: AbortSignal.timeout(answerMsMax),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new Trouble(`nothing answers at ${api.url}`, "start Tyto with ./tyto up, or give --url", error);
  }
  const text = await answer.text();
  const json = parseJson(text);
  if (answer.ok && json !== undefined) return json;
  throw problem(answer.status, json, text);
}

/** A problem document (RFC 9457) in words: title, what is wrong where, what to do. */
export function problem(status: number, json: unknown, text: string): Trouble {
  const parsed = ProblemView.safeParse(json);
  if (!parsed.success)
    return new Trouble(`answered ${status}: ${text.slice(0, 300)}`, "is this the address of Tyto's gateway?");
  const { title, detail, errors = [], instance } = parsed.data;
  const lines = [
    `${title} (${status})`,
    ...errors.map(({ path, problem: what }) => `  ${path === "" ? "" : `${path}: `}${what}`),
  ];
  const hint = [detail, status >= 500 && instance ? `request ${instance}` : undefined];
  const said = hint.filter((line) => line !== undefined).join("\n");
  return new Trouble(lines.join("\n"), said === "" ? undefined : said);
}
