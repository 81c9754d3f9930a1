import type { Installation, Message } from "./installation.ts";
import { until } from "./until.ts";

type Api = Pick<Installation, "call" | "addDomain" | "send" | "message">;

/** An installation as its HTTP API shows it. */
export function openApi(apiUrl: string, apiKey: string): Api {
  const call: Api["call"] = (method, path, body, headers = {}) =>
    fetch(`${apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return {
    call,
    async addDomain(domain) {
      const answer = await call("POST", "/v1/domains", { domain });
      if (answer.status !== 201)
        throw new Error(`adding ${domain} answered ${answer.status}: ${await answer.text()}`);
      await until(
        `${domain} has its keys`,
        async () => {
          const view = (await (await call("GET", `/v1/domains/${domain}`)).json()) as {
            records: { purpose: string }[];
          };
          return view.records.some((record) => record.purpose === "dkim");
        },
        { withinMs: 60_000 },
      );
    },
    async send(mail, headers) {
      const answer = await call("POST", "/v1/emails", mail, headers);
      if (answer.status !== 202) throw new Error(`sending answered ${answer.status}: ${await answer.text()}`);
      return ((await answer.json()) as { id: string }).id;
    },
    message(id, ready = () => true, withinMs = 60_000) {
      let last = "";
      return until(
        `message ${id} gets there`,
        async () => {
          const answer = await call("GET", `/v1/emails/${id}`);
          last = await answer.text();
          if (answer.status !== 200) return undefined;
          const message = JSON.parse(last) as Message;
          return ready(message) ? message : undefined;
        },
        { withinMs, everyMs: 100 },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}; it stands at ${last}`);
      });
    },
  };
}
