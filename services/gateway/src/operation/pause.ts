import { pausePrefix } from "@tyto/contracts";
import type { OperationPorts } from "./ports.ts";

/** A site that is left alone is asked now, and its mail follows when it takes some. */
export async function endPause(
  { control }: OperationPorts,
  site: string,
  by: string,
): Promise<{ asked?: true }> {
  const { answers } = await control.askAll("mta.ask-site", { site, by });
  if (answers.every(({ rows }) => rows === 0)) return {};
  await control.ask("mta.release", { key: `${pausePrefix}${site}`, by });
  return { asked: true };
}
