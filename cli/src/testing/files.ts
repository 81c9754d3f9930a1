import { relative, resolve } from "node:path";
import { Trouble } from "../trouble.ts";

export type TestFiles = { unit: string[]; slow: string[] };

const isSlow = (path: string) => path.endsWith(".slow.test.ts");

/** All tests of the checkout as paths below `root`, narrowed to those at or below `wanted` (relative to `cwd`). */
export async function findTests(root: string, wanted: readonly string[], cwd: string): Promise<TestFiles> {
  const all: string[] = [];
  for await (const path of new Bun.Glob("{packages,services,convex,cli,web,bench,test}/**/*.test.ts").scan({
    cwd: root,
  }))
    if (!/(^|\/)(node_modules|\.nuxt|\.output|_generated)\//.test(path)) all.push(path);
  all.sort();
  const narrowed =
    wanted.length === 0
      ? all
      : wanted.flatMap((entry) => narrow(all, entry, relative(root, resolve(cwd, entry))));
  const chosen = [...new Set(narrowed)];
  return { unit: chosen.filter((path) => !isSlow(path)), slow: chosen.filter(isSlow) };
}

function narrow(all: readonly string[], given: string, path: string): string[] {
  const found = all.filter((file) => path === "" || file === path || file.startsWith(`${path}/`));
  if (found.length === 0) throw new Trouble(`no test lies at ${given}`, "name a folder or a file x.test.ts");
  return found;
}
