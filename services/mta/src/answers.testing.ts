import type { AllControl, Bus } from "@tyto/bus";
import type { ControlAnswer, ControlRequest } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";

/**
 * What all of `processes` answer. Who asks waits a moment for processes that it does not know, and on a busy machine an
 * answer takes longer: so it is asked again until all are heard of. For questions that change nothing.
 */
export async function answersOf<C extends AllControl>(
  { control: bus }: Bus,
  control: C,
  request: ControlRequest<C>,
  processes = 1,
): Promise<ControlAnswer<C>[]> {
  let answers: ControlAnswer<C>[] = [];
  await until(`${processes} answer ${control}`, async () => {
    ({ answers } = await bus.askAll(control, request));
    return answers.length === processes;
  });
  return answers;
}
