/** How long a change takes to reach a watcher, while many others watch something else. */
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import type { Engine } from "./engine.ts";
import { percentile, round } from "./load.ts";

const top = makeFunctionReference<"query", { owner: string }, { rank: number }[]>("items:top");
const subscriptionsPerClient = 100;

export async function liveUpdates(engine: Engine, subscriptions: number, updates: number) {
  const clients: ConvexClient[] = [];
  const connect = () => {
    const client = new ConvexClient(engine.url, { logger: false });
    clients.push(client);
    return client;
  };
  let client = connect();
  let disturbed = 0;
  await Promise.all(
    Array.from({ length: subscriptions }, (_, index) => {
      if (index > 0 && index % subscriptionsPerClient === 0) client = connect();
      const watcher = client;
      return new Promise<void>((resolve, reject) => {
        watcher.onUpdate(
          top,
          { owner: `watched-by-others-${index}` },
          () => {
            disturbed++;
            resolve();
          },
          reject,
        );
      });
    }),
  );
  disturbed = 0;

  let arrived: (rank: number) => void = () => {};
  const ready = Promise.withResolvers<void>();
  connect().onUpdate(
    top,
    { owner: "watched" },
    (items) => {
      ready.resolve();
      arrived(items[0]?.rank ?? 0);
    },
    ready.reject,
  );
  await ready.promise;
  const latenciesMs: number[] = [];
  for (let update = 1; update <= updates; update++) {
    const seen = new Promise<void>((resolve) => {
      arrived = (rank) => rank === -update && resolve();
    });
    const sentMs = performance.now();
    // Each comes first in its range, so that the watched page of ten changes.
    await Promise.all([
      seen,
      engine.call("mutation", "items:add", { owner: "watched", rank: -update, kind: "live", body: "x" }),
    ]);
    latenciesMs.push(performance.now() - sentMs);
  }
  await Promise.all(clients.map((each) => each.close()));
  latenciesMs.sort((left, right) => left - right);
  return {
    subscriptions,
    updates,
    p50Ms: round(percentile(latenciesMs, 0.5)),
    p99Ms: round(percentile(latenciesMs, 0.99)),
    disturbed,
  };
}
