/**
 * The suppression list as a person changes it: written to Convex, and answered once the bucket that the gateway and the
 * mta look at says the same.
 */
import type { Bucket } from "@tyto/bus";
import { type Address, type SuppressionView, suppressionKey } from "@tyto/contracts";
import type { Store } from "./store.ts";

export type Suppressions = {
  has(address: Address): Promise<boolean>;
  add(address: Address): Promise<SuppressionView>;
  /** False if the address was not on the list. */
  remove(address: Address): Promise<boolean>;
};

/** The recorder brings a change within milliseconds; without it the change takes effect when it is back. */
const settleMsMax = 3_000;
const lookAgainMs = 20;

export function createSuppressions(
  bucket: Pick<Bucket<"SUPPRESSIONS">, "get">,
  store: Pick<Store, "addSuppression" | "removeSuppression">,
): Suppressions {
  const has = async (address: Address) => (await bucket.get(suppressionKey(address))) !== undefined;
  const settle = async (address: Address, isThere: boolean) => {
    const giveUpAtMs = performance.now() + settleMsMax;
    while ((await has(address)) !== isThere && performance.now() < giveUpAtMs) await Bun.sleep(lookAgainMs);
  };
  return {
    has,
    async add(address) {
      const view = await store.addSuppression(address);
      await settle(address, true);
      return view;
    },
    async remove(address) {
      const wasThere = await store.removeSuppression(address);
      if (wasThere) await settle(address, false);
      return wasThere;
    },
  };
}
