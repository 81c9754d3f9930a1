/** Whether sources changed since something was made from them. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Files and folders below the checkout; what is generated or installed does not count as source. */
export async function hashSources(root: string, paths: readonly string[], extra = ""): Promise<string> {
  const files: string[] = [];
  for (const path of paths) {
    if (await Bun.file(join(root, path)).exists()) files.push(path);
    else
      for await (const file of new Bun.Glob("**/*").scan({ cwd: join(root, path), dot: false }))
        if (!/(^|\/)(node_modules|dist)\//.test(file)) files.push(`${path}/${file}`);
  }
  const hash = new Bun.CryptoHasher("sha256").update(extra);
  for (const file of files.sort())
    hash.update(`\0${file}\0`).update(await Bun.file(join(root, file)).bytes());
  return hash.digest("hex");
}

/** A note beside what was made, naming the sources that it was made from. */
export const stamp = (path: string) => ({
  async matches(hash: string): Promise<boolean> {
    // No note yet means nothing was made yet.
    return (await readFile(path, "utf8").catch(() => "")) === hash;
  },
  write: (hash: string) => writeFile(path, hash),
});
