import { Domain, type DomainRecord } from "@tyto/contracts";
import { createKeymaker } from "../keymaker.ts";
import { createVault } from "../keys.ts";
import { createSigners } from "../signers.ts";
import type { Surroundings } from "./surroundings.ts";

/** Who signs for a domain; and keys are offered to domains that have none. Throws Failure `upstream.down`. */
export async function startSigning({ config, bus, now, log }: Surroundings) {
  const vault = createVault(config.secret);
  const domains = bus.bucket("DOMAINS");
  const keymaker = createKeymaker({ vault, publish: bus.publish, now, log });
  const watch = await domains.watch((key: string, record: DomainRecord | undefined) => {
    const domain = Domain.safeParse(key);
    if (domain.success) keymaker.see(domain.data, record);
  });
  return {
    signerOf: createSigners((domain) => domains.get(domain), vault, now),
    async stop() {
      watch.stop();
      await keymaker.stop();
    },
  };
}
