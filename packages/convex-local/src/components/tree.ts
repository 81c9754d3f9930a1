import { UserError } from "../functions/errors.ts";
import { mismatch, type Validator } from "../values/validator.ts";
import type { Json } from "../values/wire.ts";
import { childPath, type Mount, ROOT } from "./component.ts";
import { type Definition, describePath, type EnvBinding, type EnvDeclaration } from "./definition.ts";

/** A component that a definition tells to install. The same definition may stand in several places. */
export type Instance = {
  path: string;
  definitionPath: string;
  children: Instance[];
  mounts: Mount[];
  httpPrefix: string | null;
  args: Record<string, Json>;
  /** What its variables are bound to; the app has those of the deployment instead. */
  environment: Record<string, EnvBinding>;
  declared: [string, EnvDeclaration][];
};

const INSTANCES_MAX = 256;
const DEPTH_MAX = 16;
const CHILD = "_reference/childComponent/";

/** The tree of components that the app's definition describes. Throws UserError. */
export function plantTree(definitions: ReadonlyMap<string, Definition>): Instance {
  let instances = 0;
  const plant = (path: string, definitionPath: string, users: readonly string[]): Instance => {
    const definition = definitions.get(definitionPath);
    if (definition === undefined) throw invalid(`The definition of component ${definitionPath} was not sent`);
    if (users.includes(definitionPath)) {
      throw invalid(`Components use each other in a circle: ${[...users, definitionPath].join(" → ")}`);
    }
    if (users.length > DEPTH_MAX) throw invalid(`Components are nested more than ${DEPTH_MAX} levels deep`);
    instances++;
    if (instances > INSTANCES_MAX) throw invalid(`There are more than ${INSTANCES_MAX} components`);

    const where = describePath(definitionPath);
    const names = new Set<string>();
    const children = definition.childComponents.map((child) => {
      if (names.has(child.name)) throw invalid(`${where} uses the name ${child.name} for two components`);
      names.add(child.name);
      const planted = plant(childPath(path, child.name), child.path, [...users, definitionPath]);
      planted.args = Object.fromEntries(
        (child.args ?? []).map(([name, { value }]) => [name, JSON.parse(value) as Json]),
      );
      planted.environment = Object.fromEntries(child.env ?? []);
      checkBindings(planted, definition.envVars);
      return planted;
    });
    const mounts = Object.entries(definition.httpMounts).map(([prefix, reference]) => {
      const name = reference.startsWith(CHILD) ? reference.slice(CHILD.length) : "";
      if (!names.has(name)) throw invalid(`${where} mounts ${reference}, which is none of its components`);
      return { prefix, component: childPath(path, name) };
    });
    return {
      path,
      definitionPath,
      children,
      // The longest first: "/a/b/" is not for the component at "/a/".
      mounts: mounts.sort((left, right) => right.prefix.length - left.prefix.length),
      httpPrefix: definition.httpPrefix ?? null,
      args: {},
      environment: {},
      declared: definition.envVars ?? [],
    };
  };
  return plant(ROOT, ROOT, []);
}

/** An instance and all below it, parents first. */
export const instancesOf = (instance: Instance): Instance[] => [
  instance,
  ...instance.children.flatMap(instancesOf),
];

/** What each component of a tree sees as its environment, by path. */
export function environmentsOf(
  root: Instance,
  rootEnvironment: Readonly<Record<string, string>>,
): Map<string, Readonly<Record<string, string>>> {
  const environments = new Map([[root.path, rootEnvironment]]);
  for (const { path, children } of instancesOf(root)) {
    const parent = environments.get(path) ?? {};
    for (const child of children) environments.set(child.path, bound(child.environment, parent));
  }
  return environments;
}

/** The values of bound variables; those of a variable that the parent does not have are left out. */
export function bound(
  bindings: Readonly<Record<string, EnvBinding>>,
  parent: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bindings).flatMap(([name, binding]) => {
      const value = binding.type === "value" ? binding.value : parent[binding.name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * What is wrong with the variables that a component has, or null: a required one is missing, or a value is not
 * what the definition declares.
 */
export function environmentProblem(
  { path, declared }: Pick<Instance, "path" | "declared">,
  environment: Readonly<Record<string, string>>,
): string | null {
  const owner = path === ROOT ? "the app" : `component ${path}`;
  for (const [name, { value, optional }] of declared) {
    const set = environment[name];
    if (set === undefined) {
      if (optional === true) continue;
      return `Environment variable ${name} is required by ${owner} and has no value. Set it with \`convex env set\`.`;
    }
    const found = mismatch(JSON.parse(value) as Validator, set, () => true);
    if (found !== null) return `Environment variable ${name} of ${owner} is not what it declares: ${found}`;
  }
  return null;
}

/** Bindings must name declared variables, and variables that the parent has. */
function checkBindings(child: Instance, parent: Definition["envVars"]): void {
  for (const [name, binding] of Object.entries(child.environment)) {
    if (!child.declared.some(([declared]) => declared === name)) {
      throw invalid(`Component ${child.path} is given ${name}, which it does not declare`);
    }
    if (binding.type === "envVar" && !(parent ?? []).some(([declared]) => declared === binding.name)) {
      throw invalid(
        `Component ${child.path} is given ${binding.name} of its parent, which the parent does not declare`,
      );
    }
  }
}

const invalid = (message: string) => new UserError("InvalidDefinition", message);

/** A place for the code of a definition that nothing installs. */
export const uninstalled = (definitionPath: string): Instance => ({
  path: ROOT,
  definitionPath,
  children: [],
  mounts: [],
  httpPrefix: null,
  args: {},
  environment: {},
  declared: [],
});
