import type { RequestProblem } from "~/utils/problem.ts";

/**
 * What the gateway answers to a GET, asked again every few seconds while the page is visible: for what lives in running
 * processes and not in Convex. Another path begins anew; a failure keeps what was there, and is told.
 */
export function usePolled<Answer>(
  path: () => string,
  everyMs = 5_000,
  ask: (path: string) => Promise<Answer> = (asked) => request<Answer>("GET", asked),
) {
  const data = shallowRef<Answer>();
  const problem = shallowRef<RequestProblem>();
  const loadedAtMs = ref<number>();
  const { lose } = useSession();
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Answers of an older round are left. */
  let round = 0;

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    const mine = ++round;
    try {
      const answer = await ask(path());
      if (mine !== round) return;
      data.value = answer;
      problem.value = undefined;
      loadedAtMs.value = Date.now();
    } catch (error) {
      if (mine !== round) return;
      problem.value = problemOf(error);
      if (problem.value.code === "request.unauthenticated") return lose();
    }
    if (document.visibilityState === "visible") timer = setTimeout(refresh, everyMs);
  }
  function onVisibility(): void {
    if (document.visibilityState === "visible") void refresh();
    else clearTimeout(timer);
  }

  watch(
    path,
    () => {
      data.value = undefined;
      problem.value = undefined;
      void refresh();
    },
    { immediate: true },
  );
  document.addEventListener("visibilitychange", onVisibility);
  onScopeDispose(() => {
    round++;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisibility);
  });

  return { data, problem, loadedAtMs: readonly(loadedAtMs), refresh };
}
