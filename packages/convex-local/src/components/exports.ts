import type { AnalyzedModule } from "../push/analysis.ts";

export type ExportTree =
  | { type: "leaf"; leaf: string }
  | { type: "branch"; branch: [name: string, tree: ExportTree][] };

/**
 * The functions of a component that its parent may call, as a tree by folder, file and name: what the CLI makes
 * the types of `components` from.
 */
export function exportsOf(functions: Record<string, AnalyzedModule>): ExportTree & { type: "branch" } {
  const root: ExportTree & { type: "branch" } = { type: "branch", branch: [] };
  for (const [file, { functions: declared }] of Object.entries(functions)) {
    const path = file.replace(/\.js$/, "");
    for (const { name, visibility } of declared) {
      if (visibility.kind !== "public") continue;
      let node = root;
      for (const part of path.split("/")) node = branchNamed(node, part);
      node.branch.push([name, { type: "leaf", leaf: `_reference/function/${path}:${name}` }]);
    }
  }
  return root;
}

function branchNamed(node: ExportTree & { type: "branch" }, name: string): ExportTree & { type: "branch" } {
  const found = node.branch.find(([candidate, tree]) => candidate === name && tree.type === "branch")?.[1];
  if (found?.type === "branch") return found;
  const made: ExportTree & { type: "branch" } = { type: "branch", branch: [] };
  node.branch.push([name, made]);
  return made;
}
