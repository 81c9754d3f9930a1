import { UserError } from "../functions/errors.ts";
import { loadBundle, removeBundle } from "../push/bundle.ts";
import { type Definition, definitionOf, describePath } from "./definition.ts";

export type DefinitionSource = { path: string; source: string; dependencies: readonly string[] };

const FILE = "convex.config.js";

/**
 * Runs the `convex.config.ts` of the app and of each component definition. They import each other as modules that
 * the bundler leaves to the deployment: each exports the path and the name of a definition, so those that are
 * used come first. Throws UserError.
 */
export async function evaluateDefinitions(
  dataDir: string | null,
  sources: readonly DefinitionSource[],
  environment: Readonly<Record<string, string>>,
): Promise<Map<string, Definition>> {
  const evaluated = new Map<string, Definition>();
  for (const source of inOrderOfUse(sources)) {
    evaluated.set(source.path, await evaluate(dataDir, source, evaluated, environment));
  }
  return evaluated;
}

async function evaluate(
  dataDir: string | null,
  { path, source, dependencies }: DefinitionSource,
  evaluated: ReadonlyMap<string, Definition>,
  environment: Readonly<Record<string, string>>,
): Promise<Definition> {
  let code = source;
  const imported = dependencies.map((dependency, index) => {
    // Under a short name of our own: the bundler's, which holds the whole path, may be too long for a file.
    code = code.replaceAll(importPath(dependency), `./_deps/${index}.js`);
    const type = evaluated.get(dependency)?.definitionType;
    const child = {
      componentDefinitionPath: dependency,
      defaultName: type?.type === "childComponent" ? type.name : undefined,
    };
    return { path: `_deps/${index}.js`, source: `export default ${JSON.stringify(child)};` };
  });
  const { modules, directory } = await loadBundle(
    dataDir,
    [{ path: FILE, source: code }, ...imported],
    environment,
  );
  try {
    return definitionOf(path, modules.get("convex.config"));
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError("InvalidDefinition", `${describePath(path)}: ${reason}`);
  } finally {
    removeBundle(directory);
  }
}

const importPath = (definitionPath: string) =>
  `./_componentDeps/${Buffer.from(definitionPath).toString("base64url")}`;

/** Definitions before those that depend on them. Throws UserError for circles and for what is missing. */
function inOrderOfUse(sources: readonly DefinitionSource[]): DefinitionSource[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const ordered = new Set<DefinitionSource>();
  const visit = (path: string, users: readonly string[]) => {
    const source = byPath.get(path);
    if (source === undefined) {
      throw new UserError("InvalidDefinition", `The definition of component ${path} was not sent`);
    }
    if (users.includes(path)) {
      throw new UserError(
        "InvalidDefinition",
        `Components use each other in a circle: ${[...users, path].join(" → ")}`,
      );
    }
    if (ordered.has(source)) return;
    for (const dependency of source.dependencies) visit(dependency, [...users, path]);
    ordered.add(source);
  };
  for (const { path } of sources) visit(path, []);
  return [...ordered];
}
