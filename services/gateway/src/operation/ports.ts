import type { Bus } from "@tyto/bus";
import { Failure, type Hold, type ProcessState } from "@tyto/contracts";

export type OperationPorts = {
  control: Pick<Bus["control"], "ask" | "askAll" | "follow">;
  now: () => number;
};

/** What each mta process tells of itself. Throws Failure `upstream.down` when none runs. */
export async function processesOf({ control }: OperationPorts): Promise<ProcessState[]> {
  const { answers } = await control.askAll("mta.state", {});
  if (answers.length === 0) throw noMta();
  return answers;
}

export const holdsOf = async ({ control }: OperationPorts): Promise<Hold[]> =>
  (await control.ask("mta.holds", {})).holds;

export const noMta = () =>
  new Failure("upstream.down", "no mta process answers", { hint: "No mta is running" });
