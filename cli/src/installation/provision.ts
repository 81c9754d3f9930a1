/** Streams, buckets and durables on a nats-server, as the contracts declare them. */
import { provision } from "@tyto/bus";
import { Failure } from "@tyto/contracts";
import { Trouble } from "../trouble.ts";

/** Reports nothing on success: what was made is of no interest to somebody who starts Tyto. */
const log = { info() {}, warn: complain, error: complain };

function complain(event: string, fields: Record<string, unknown> = {}): void {
  process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
}

/** Running it again changes nothing. Throws Trouble when the server refuses. */
export async function provisionBus({ url, password }: { url: string; password: string }): Promise<void> {
  try {
    await provision({ url, user: "admin", password }, log);
  } catch (error) {
    if (error instanceof Failure)
      throw new Trouble(`NATS cannot be set up: ${error.message}`, undefined, error);
    throw error;
  }
}
