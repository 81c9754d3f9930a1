import type { Api } from "../api.ts";
import type { TestGateway } from "../testing.ts";

/** Requests to the gateway, by its root key and by a person. */
export function callsOf(
  app: Api,
  { site, rootKey }: { site: string; rootKey: string },
): Pick<TestGateway, "request" | "call" | "signIn"> {
  const request: TestGateway["request"] = async (path, init = {}) => app.request(`${site}${path}`, init, {});
  return {
    request,
    call: (method, path, body, headers = {}) =>
      request(path, {
        method,
        headers: {
          authorization: `Bearer ${rootKey}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    async signIn() {
      const account = { name: "Ada", email: "ada@tyto.test", password: "correct horse battery" };
      const answer = await request("/api/setup", {
        method: "POST",
        headers: { "content-type": "application/json", origin: site },
        body: JSON.stringify(account),
      });
      if (!answer.ok) throw new Error(`setup answered ${answer.status}: ${await answer.text()}`);
      return answer.headers
        .getSetCookie()
        .map((cookie) => cookie.split(";")[0])
        .join("; ");
    },
  };
}
