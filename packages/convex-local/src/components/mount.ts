import { type Component, type Mount, ROOT } from "./component.ts";

/**
 * The component that answers an HTTP path, and the path as its router sees it. Mounts come before a component's
 * own routes.
 */
export function mountOf(
  components: ReadonlyMap<string, Component>,
  pathname: string,
): { component: Component; path: string } | undefined {
  let component = components.get(ROOT);
  let path = pathname;
  while (component !== undefined) {
    const mount: Mount | undefined = component.mounts?.find(({ prefix }) => path.startsWith(prefix));
    if (mount === undefined) return withinPrefix(component, path);
    component = components.get(mount.component);
    path = path.slice(mount.prefix.length - 1);
  }
  return undefined;
}

function withinPrefix(component: Component, path: string) {
  const { httpPrefix } = component;
  if (httpPrefix === null || httpPrefix === undefined) return { component, path };
  return path.startsWith(httpPrefix) ? { component, path: path.slice(httpPrefix.length - 1) } : undefined;
}
