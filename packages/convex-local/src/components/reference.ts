import { UserError } from "../functions/errors.ts";
import { canonicalPath } from "../functions/module.ts";
import type { Json } from "../values/wire.ts";
import { childPath } from "./component.ts";

/** A function of one component. A parent sees only the public functions of its children. */
export type Address = { component: string; path: string; access: "public" | "any" };

const HANDLE = "function://";
const CHILD = "_reference/childComponent/";
const FUNCTION = "_reference/function/";

/**
 * The function that a call names, seen from component `from`: by its own path, by a handle, or by a reference.
 * `isInstalled` says whether there is a component at a path. Throws UserError.
 */
export function addressOf(
  from: string,
  args: Record<string, Json>,
  isInstalled: (component: string) => boolean,
): Address {
  const { name, reference, functionHandle } = args;
  if (typeof name === "string") return { component: from, path: name, access: "any" };
  if (typeof functionHandle === "string") return handleAddress(functionHandle, isInstalled);
  if (typeof reference === "string") return referenceAddress(from, reference, isInstalled);
  throw new UserError("InvalidReference", `${JSON.stringify(args)} does not name a function`);
}

/** A text that names a function to every component, and stays valid over pushes. */
export const handleOf = (component: string, path: string): string =>
  `${HANDLE}${component}#${canonicalPath(path)}`;

function handleAddress(handle: string, isInstalled: (component: string) => boolean): Address {
  const [component, path] = handle.startsWith(HANDLE) ? handle.slice(HANDLE.length).split("#", 2) : [];
  if (component === undefined || path === undefined) {
    throw new UserError("InvalidFunctionHandle", `${JSON.stringify(handle)} is not a function handle`);
  }
  if (!isInstalled(component)) {
    throw new UserError(
      "InvalidFunctionHandle",
      `The component "${component}" of a function handle is not installed`,
    );
  }
  return { component, path, access: "any" };
}

function referenceAddress(
  from: string,
  reference: string,
  isInstalled: (component: string) => boolean,
): Address {
  if (reference.startsWith(FUNCTION)) {
    return { component: from, path: reference.slice(FUNCTION.length), access: "any" };
  }
  if (!reference.startsWith(CHILD)) {
    throw new UserError("InvalidReference", `The reference ${reference} does not name a function`);
  }
  const [child = "", ...rest] = reference.slice(CHILD.length).split("/");
  const name = rest.pop();
  if (name === undefined || rest.length === 0) {
    throw new UserError("InvalidReference", `The reference ${reference} does not name a function`);
  }
  const component = childPath(from, child);
  if (!isInstalled(component)) {
    throw new UserError(
      "ComponentNotFound",
      `Child component ${child} not found. Is it in convex.config.ts, and has that been pushed?`,
    );
  }
  return { component, path: `${rest.join("/")}:${name}`, access: "public" };
}
