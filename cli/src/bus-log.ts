import type { BusLog } from "@tyto/bus";
import { colours, complain } from "./screen.ts";

/** The bus at a person's command: troubles are told, success is not. */
export const busLog: BusLog = { info() {}, warn: tell, error: tell };

function tell(event: string, fields: Record<string, unknown> = {}): void {
  complain(colours.dim(`${event} ${JSON.stringify(fields)}`));
}
