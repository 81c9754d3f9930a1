import type { RequestProblem } from "~/utils/problem.ts";

/** What went wrong, in the language of the page. */
export function useProblem() {
  const { t, te } = useI18n();
  return {
    /** The words of the error's code; what the gateway said where the page has no words for it. */
    titleOf: (problem: RequestProblem) =>
      te(`problem.${problem.code.replace(".", "-")}`)
        ? t(`problem.${problem.code.replace(".", "-")}`)
        : problem.title,
    /** What to do about it, as the gateway put it, or where there was none, and the wrong fields. */
    detailsOf: (problem: RequestProblem) => [
      ...(problem.code === "network" ? [t("problem.networkHint")] : []),
      ...(problem.detail === undefined ? [] : [problem.detail]),
      ...problem.issues.map((issue) =>
        issue.path === "" ? issue.problem : `${issue.path}: ${issue.problem}`,
      ),
    ],
  };
}
