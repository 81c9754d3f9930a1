import type { RequestProblem } from "~/utils/problem.ts";

/** What went wrong, in the language of the page. */
export function useProblem() {
  const { t, te } = useI18n();
  const hintOf = ({ code, detail }: RequestProblem) => {
    if (code === "network") return [t("problem.networkHint"), ...(detail === undefined ? [] : [detail])];
    if (code === "recipient.suppressed") return [t("problem.suppressedHint")];
    return detail === undefined ? [] : [detail];
  };
  return {
    /** The words of the error's code; what the gateway said where the page has no words for it. */
    titleOf: (problem: RequestProblem) =>
      te(`problem.${problem.code.replace(".", "-")}`)
        ? t(`problem.${problem.code.replace(".", "-")}`)
        : problem.title,
    /** What to do about it, in the page's words where they differ from those for programs, else as the gateway put it; and the wrong fields. */
    detailsOf: (problem: RequestProblem) => [
      ...hintOf(problem),
      ...problem.issues.map((issue) =>
        issue.path === "" ? issue.problem : `${issue.path}: ${issue.problem}`,
      ),
    ],
  };
}
