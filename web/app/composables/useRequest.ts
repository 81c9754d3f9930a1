import type { RequestProblem } from "~/utils/problem.ts";

/**
 * A write of one form or button: whether it runs and how it failed. `send` answers undefined when it failed, and does nothing
 * while one runs: forms stay as they are meanwhile (`loading-auto` would take the focus out of their fields), and Enter may
 * be pressed twice. A session that is gone leads to the sign-in page.
 */
export function useRequest() {
  const pending = ref(false);
  const problem = shallowRef<RequestProblem>();
  const { lose } = useSession();

  async function send<Answer>(...args: Parameters<typeof request>): Promise<{ answer: Answer } | undefined> {
    if (pending.value) return undefined;
    pending.value = true;
    problem.value = undefined;
    try {
      return { answer: await request<Answer>(...args) };
    } catch (error) {
      problem.value = problemOf(error);
      if (problem.value.code === "request.unauthenticated") await lose();
      return undefined;
    } finally {
      pending.value = false;
    }
  }

  return { pending, problem, send };
}
