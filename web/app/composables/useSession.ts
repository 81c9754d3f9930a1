import type { Session, User } from "~/utils/session.ts";

/**
 * The signed-in person. `load` asks the gateway; `lose` is called by whoever is told that the session is gone, and
 * leads to the sign-in page.
 */
export function useSession() {
  const session = useState<Session>("session", () => ({ kind: "unknown" }));
  const user = computed(() => (session.value.kind === "in" ? session.value.user : undefined));

  async function load(): Promise<void> {
    try {
      const answer = await request<{ user: User }>("GET", "/api/session");
      session.value = { kind: "in", user: answer.user };
    } catch (error) {
      session.value = await whoIsOutside(problemOf(error).status);
    }
  }

  async function whoIsOutside(status: number): Promise<Session> {
    if (status !== 401) return { kind: "unreachable" };
    try {
      const { needed } = await request<{ needed: boolean }>("GET", "/api/setup");
      return { kind: needed ? "first" : "out" };
    } catch (error) {
      // Without an answer nobody knows which page is right; the page says so and offers to try again.
      return problemOf(error).status === 404 ? { kind: "out" } : { kind: "unreachable" };
    }
  }

  async function signIn(email: string, password: string): Promise<void> {
    await request("POST", "/api/auth/sign-in/email", { email, password });
    await load();
  }

  async function setUp(account: { name: string; email: string; password: string }): Promise<void> {
    await request("POST", "/api/setup", account);
    await load();
  }

  async function signOut(): Promise<void> {
    await request("POST", "/api/auth/sign-out", {});
    await leave("/sign-in");
  }

  async function lose(): Promise<void> {
    if (session.value.kind === "in")
      await leave(doorOf("out", useRouter().currentRoute.value.fullPath) ?? "/sign-in");
  }

  async function leave(door: string): Promise<void> {
    session.value = { kind: "out" };
    closeConvex();
    await navigateTo(door);
  }

  return { session, user, load, signIn, setUp, signOut, lose };
}
