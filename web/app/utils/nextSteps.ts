/** The counts that Home's "what to do next" is computed from. */
export type Progress = { domains: number; verifiedDomains: number; apiKeys: number; messages: number };
export type StepId = "domain" | "dns" | "key" | "send";
/** `current`: the first one that is not done, the one to do now. */
export type NextStep = { id: StepId; done: boolean; current: boolean };

export function nextSteps(progress: Progress): NextStep[] {
  const steps: { id: StepId; done: boolean }[] = [
    { id: "domain", done: progress.domains > 0 },
    { id: "dns", done: progress.verifiedDomains > 0 },
    { id: "key", done: progress.apiKeys > 0 },
    { id: "send", done: progress.messages > 0 },
  ];
  const current = steps.findIndex((step) => !step.done);
  return steps.map((step, index) => ({ ...step, current: index === current }));
}
