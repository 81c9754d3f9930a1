/** Streams, buckets and durables on a nats-server, as the contracts declare them. */
import { provision, type Replicas } from "@tyto/bus";
import { Failure } from "@tyto/contracts";
import { busLog } from "../bus-log.ts";
import { Trouble } from "../trouble.ts";

/** Running it again changes nothing. Throws Trouble when the server refuses. */
export async function provisionBus({
  url,
  password,
  replicas = 1,
}: {
  url: string;
  password: string;
  replicas?: Replicas;
}): Promise<void> {
  try {
    await provision({ url, user: "admin", password }, busLog, { replicas });
  } catch (error) {
    if (error instanceof Failure)
      throw new Trouble(`NATS cannot be set up: ${error.message}`, undefined, error);
    throw error;
  }
}
