import type { Validator } from "../values/validator.ts";
import { UserError } from "./errors.ts";
import type { FunctionKind } from "./frame.ts";

/** A function as `convex/server` builds it: the export of a module. */
export type FunctionObject = {
  isQuery?: true;
  isMutation?: true;
  isAction?: true;
  isHttp?: true;
  isPublic?: true;
  isInternal?: true;
  invokeQuery?: (args: string) => Promise<string>;
  invokeMutation?: (args: string) => Promise<string>;
  invokeAction?: (requestId: string, args: string) => Promise<string>;
  invokeHttpAction?: (request: Request) => Promise<Response>;
  exportArgs?: () => string;
  exportReturns?: () => string;
};

export type Exports = Record<string, unknown>;
/** Modules by path without extension: "messages", "model/users". */
export type Modules = ReadonlyMap<string, Exports>;

/** A function that has been found, with its validators parsed. */
export type Resolved = {
  path: string;
  kind: FunctionKind;
  isPublic: boolean;
  object: FunctionObject;
  args: Validator;
  returns: Validator | null;
};

export function functionObject(value: unknown): FunctionObject | undefined {
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) return undefined;
  const candidate = value as FunctionObject;
  return kindOfFunction(candidate) === undefined ? undefined : candidate;
}

export function kindOfFunction(object: FunctionObject): FunctionKind | undefined {
  // The marks are `true`, not just truthy: an exported `api` or `components` has every member one asks for.
  if (object.isQuery === true) return "query";
  if (object.isMutation === true) return "mutation";
  if (object.isAction === true) return "action";
  return object.isHttp === true ? "httpAction" : undefined;
}

/** "dir/file", "dir/file.js:fn" and "file:default" in the one spelling "dir/file:fn". */
export function canonicalPath(path: string): string {
  const [file = "", name] = path.split(":", 2);
  return `${file.replace(/^\.?\//, "").replace(/\.js$/, "")}:${name ?? "default"}`;
}

/** The spelling of `_scheduled_functions.name`. */
export const pathWithExtension = (path: string): string => path.replace(":", ".js:");

const validatorsOf = new WeakMap<FunctionObject, { args: Validator; returns: Validator | null }>();

/** Kind and validators of a function. Throws for what is none. */
export function describeFunction(path: string, object: FunctionObject): Resolved {
  const kind = kindOfFunction(object);
  if (kind === undefined) throw new Error(`${path} is not a Convex function`);
  let validators = validatorsOf.get(object);
  if (validators === undefined) {
    validators = {
      args: JSON.parse(object.exportArgs?.() ?? '{"type":"any"}') as Validator,
      returns: JSON.parse(object.exportReturns?.() ?? "null") as Validator | null,
    };
    validatorsOf.set(object, validators);
  }
  return { path, kind, isPublic: object.isPublic === true, object, ...validators };
}

/** Functions that were found, by the spellings that found them. */
const found = new WeakMap<Modules, Map<string, Resolved>>();
/** Few functions are called, and by few spellings; beyond this they are looked up each time. */
const FOUND_MAX = 4096;

/** Finds a function by its path. Throws UserError with the text that clients of Convex know. */
export function resolveFunction(modules: Modules, path: string, isPublicOnly: boolean): Resolved {
  let known = found.get(modules);
  if (known === undefined) {
    known = new Map();
    found.set(modules, known);
  }
  const resolved = known.get(path) ?? findFunction(modules, path);
  if (resolved === undefined || (isPublicOnly && !resolved.isPublic)) {
    throw new UserError(
      "FunctionNotFound",
      `Could not find ${isPublicOnly ? "public " : ""}function for '${canonicalPath(path).replace(/:default$/, "")}'. ` +
        "Did you forget to run `npx convex dev` or `npx convex deploy`?",
    );
  }
  if (known.size < FOUND_MAX) known.set(path, resolved);
  return resolved;
}

function findFunction(modules: Modules, path: string): Resolved | undefined {
  const canonical = canonicalPath(path);
  const [file = "", name = ""] = canonical.split(":");
  const object = functionObject(modules.get(file)?.[name]);
  return object === undefined ? undefined : describeFunction(canonical, object);
}
