/** Nothing is shown without signing in: every navigation asks who is there and leads to the right door. */
export default defineNuxtRouteMiddleware(async (to) => {
  const { session, load } = useSession();
  if (session.value.kind === "unknown" || session.value.kind === "unreachable") await load();
  const door = doorOf(session.value.kind, to.fullPath);
  if (door !== undefined) return navigateTo(door, { replace: true });
});
