import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Runs docker in the repository. */
export async function docker(argv: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(["docker", ...argv], {
    cwd: root,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

/** Why containers cannot be started here; undefined when they can. */
export async function dockerMissing(): Promise<string | undefined> {
  if (Bun.which("docker") === null) return "Docker is not installed";
  if ((await docker(["info"])).code !== 0) return "Docker is not running";
  if ((await docker(["compose", "version"])).code !== 0) return "Docker has no compose plugin";
  for (const image of ["oven/bun:1.4.5-slim", "nats:2.15-alpine", "clamav/clamav:1.4", "caddy:2.10-alpine"])
    if (
      (await docker(["image", "inspect", image])).code !== 0 &&
      (await docker(["pull", "--quiet", image])).code !== 0
    )
      return `the image ${image} is not here and cannot be pulled`;
  return undefined;
}
