import type { Bus } from "@tyto/bus";
import { Failure } from "@tyto/contracts";
import { api, internal } from "@tyto/convex/api";
import { asGateway, asRecorder, sample, type TestDeployment } from "@tyto/convex/samples.testing.ts";
import { asFailure, type Convex } from "../convex.ts";
import { signingKey } from "./signing-key.ts";

type Options = {
  makesKeys?: boolean | undefined;
  syncs?: boolean | undefined;
  isAway(): boolean;
};

/** Convex as the gateway asks it. What a mutation changes comes back to the buckets, with keys for domains that wait for some. */
export function openConvex(deployment: TestDeployment, recorder: Bus, options: Options) {
  const gateway = asGateway(deployment);
  const sync = createSync(deployment, recorder);
  let makesKeys = options.makesKeys ?? false;
  const giveKeys = async () => {
    if (makesKeys) await keyDomains(deployment);
    await sync();
  };
  const answer = async <R>(ask: () => Promise<R>): Promise<R> => {
    if (options.isAway()) throw new Failure("upstream.down", "Convex is away");
    return ask().catch((error: unknown) => {
      throw asFailure(error);
    });
  };
  const port: Convex = {
    query: (fn, args) => answer(() => gateway.query(fn, args)),
    mutation: (fn, args) =>
      answer(async () => {
        const result = await gateway.mutation(fn, args);
        if (options.syncs !== false) await sync();
        if (makesKeys) await giveKeys();
        return result;
      }),
  };
  return {
    port,
    async makesKeys(does: boolean) {
      makesKeys = does;
      await giveKeys();
    },
  };
}

/** As the mta does it: first keys for domains without any, next keys where a rotation waits for them. */
async function keyDomains(deployment: TestDeployment): Promise<void> {
  const apply = (event: ReturnType<typeof nextKeys>) =>
    deployment.mutation(internal.record.apply, { events: JSON.stringify([event]) });
  for (const { domain, keys, rotation } of await asGateway(deployment).query(api.service.listDomains, {})) {
    if (keys.length === 0) await apply(sample("domain.keyed", { domain }));
    if (rotation?.keys.length === 0) await apply(nextKeys(domain, rotation.number));
  }
}

const nextKeys = (domain: string, rotation: number) =>
  sample("domain.keyed", {
    id: `${domain}.${rotation}.keyed`,
    domain,
    rotation,
    keys: [{ ...signingKey, selector: `tyto${rotation}r`, publicKey: `TkVX${rotation}` }],
  });

/** Brings what changed in Convex since the last call to the buckets, as the recorder does. */
function createSync(convex: TestDeployment, recorder: Bus): () => Promise<void> {
  let after = 0;
  return async () => {
    const { changes } = await asRecorder(convex).query(api.sync.changes, { after });
    for (const { sequence, bucket, key, value } of changes) {
      if (value === null) await recorder.bucket(bucket).delete(key);
      else await recorder.bucket(bucket).put(key, JSON.parse(value));
      after = sequence;
    }
  };
}
