/**
 * Globals of Bun and Node that the official runtime does not have. Functions run in this process, where they are
 * all there; deployed elsewhere the same code would fail.
 */
const FOREIGN = [
  "Bun",
  "Buffer",
  "process",
  "require",
  "module",
  "exports",
  "global",
  "__dirname",
  "__filename",
  "setImmediate",
  "clearImmediate",
  "HTMLRewriter",
  "Worker",
  "BroadcastChannel",
  "WebSocket",
  "XMLHttpRequest",
  "localStorage",
  "alert",
  "prompt",
] as const;

const MARK = "__foreign_";

/** Puts a mark in front of each name where it is a global, and not a variable of the module. */
const marker = new Bun.Transpiler({
  loader: "js",
  define: Object.fromEntries(FOREIGN.map((name) => [name, `${MARK}${name}`])),
});

/**
 * The foreign globals that a module (bundled JavaScript) uses. Not counted: `process.env`, which is official, and
 * names that the module asks about with `typeof` first, as libraries do that run everywhere.
 */
export function foreignGlobals(source: string): string[] {
  if (!FOREIGN.some((name) => source.includes(name))) return [];
  const marked = marker.transformSync(source);
  return FOREIGN.filter((name) => {
    if (marked.includes(`typeof ${MARK}${name}`)) return false;
    const use = name === "process" ? /__foreign_process\b(?!\??\.env\b)/ : new RegExp(`${MARK}${name}\\b`);
    return use.test(marked);
  });
}
