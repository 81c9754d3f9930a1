/** Who is at the page. `first`: no account exists yet. `unreachable`: the gateway did not answer, so nobody knows. */
export type User = { id: string; email: string; name: string };
export type Session =
  | { kind: "unknown" }
  | { kind: "unreachable" }
  | { kind: "first" }
  | { kind: "out" }
  | { kind: "in"; user: User };

/** The path that this session must see instead of `path`, or undefined when it may stay. */
export function doorOf(kind: Session["kind"], path: string): string | undefined {
  if (kind === "first") return path === "/setup" ? undefined : "/setup";
  if (kind === "out") {
    if (path.startsWith("/sign-in")) return undefined;
    return path === "/" || path === "/setup" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(path)}`;
  }
  if (kind === "in" && /^\/(sign-in|setup)\b/.test(path)) return "/";
  return undefined;
}

/** Where to go after signing in: a path of this app only, never another origin (`//host`, `https:`). */
export function nextPath(next: unknown): string {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : "/";
}
