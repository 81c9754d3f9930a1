import type { Check } from "@tyto/service";
import type { Api } from "../api.ts";

/** GET /healthz: the process lives. GET /readyz: it can work, or what is wrong. The same checks as on the health port. */
export function health(api: Api, checks: Readonly<Record<string, Check>>): void {
  api.get("/healthz", (c) => c.json({ service: "gateway", status: "alive" }));
  api.get("/readyz", async (c) => {
    const answers = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, (await check()) ?? "ok"] as const),
    );
    const isReady = answers.every(([, answer]) => answer === "ok");
    return c.json(
      { service: "gateway", status: isReady ? "ready" : "not ready", checks: Object.fromEntries(answers) },
      isReady ? 200 : 503,
    );
  });
}
