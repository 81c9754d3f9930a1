import type { Bus } from "@tyto/bus";
import { type ControlAnswer, Failure, type ProcessState } from "@tyto/contracts";

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

/** What is held, and what rules do with the mail of sites. */
export const holdsOf = ({ control }: OperationPorts): Promise<ControlAnswer<"mta.holds">> =>
  control.ask("mta.holds", {});

export const noMta = () =>
  new Failure("upstream.down", "no mta process answers", { hint: "No mta is running" });
