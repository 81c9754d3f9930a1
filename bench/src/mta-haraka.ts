/**
 * Haraka as a relay: takes mail from this machine into its queue on disk (each file with an fsync before the 250) and hands
 * everything to one server. It is no dependency of Tyto: npm's release is put into a folder of the user's cache.
 */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@tyto/test/parts/ports.ts";
import { until } from "@tyto/test/parts/until.ts";
import type { Relay } from "./postfix-relay.ts";

const version = "3.3.4";
/** Parts of a MIME parser that a relay does not run, for registries that lack the releases which Haraka's parts ask for. */
const olderParts = { "encoding-japanese": "2.2.0", libqp: "2.1.1" };

/** Why there is no Haraka here is an Error. */
export async function startHaraka(target: string, connections: number): Promise<Relay> {
  const node = Bun.which("node");
  if (node === null) throw new Error("Haraka needs node, which is not installed");
  const modules = join(await installed(), "node_modules");
  const dir = await mkdtemp(join(tmpdir(), "tyto-haraka-"));
  const port = await freePort();
  const [exchange, targetPort] = target.split(":");
  const files: Record<string, string> = {
    "config/me": "relay.test\n",
    "config/host_list": "relay.test\n",
    "config/plugins": "relay_everything\n",
    "config/log.ini": "[main]\nlevel=warn\n",
    "config/smtp.ini": `listen=127.0.0.1:${port}\nnodes=0\ndaemonize=false\ngraceful_shutdown=false\n`,
    "config/outbound.ini": `concurrency_max=${connections}\nenable_tls=false\n`,
    // Without all of these a message is refused.
    "config/connection.ini": `[main]
[headers]
add_received=true
max_lines=1000
max_received=100
[max]
bytes=26214400
line_length=512
data_line_length=992
mime_parts=1000
[message]
helo=relay.
close=closing connection.
[uuid]
banner_chars=6
deny_chars=0
`,
    "plugins/relay_everything.js": `"use strict";
exports.register = function () {
  this.register_hook("connect", "mayRelay");
  this.register_hook("rcpt", "take");
  this.register_hook("get_mx", "target");
};
exports.mayRelay = (next, connection) => { connection.relaying = true; next(); };
exports.take = (next) => next(OK);
exports.target = (next) => next(OK, [{ priority: 0, exchange: ${JSON.stringify(exchange)}, port: ${targetPort} }]);
`,
  };
  for (const folder of ["config", "plugins", "queue"]) await mkdir(join(dir, folder));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  await symlink(modules, join(dir, "node_modules"));
  const child = Bun.spawn([node, join(modules, "Haraka/bin/haraka"), "-c", dir], {
    cwd: dir,
    stdout: Bun.file(join(dir, "log")),
    stderr: Bun.file(join(dir, "errors")),
  });
  const stop = async () => {
    child.kill("SIGKILL");
    await child.exited;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await until("Haraka listens", async () => {
      if (child.exitCode !== null) throw new Error(await readFile(join(dir, "errors"), "utf8"));
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(
        () => undefined,
      );
      socket?.end();
      return socket !== undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: `127.0.0.1:${port}`, pid: child.pid, version, stop };
}

/** The folder that Haraka is installed in. */
async function installed(): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "tyto/bench", `haraka-${version}`);
  const isThere = () => Bun.file(join(folder, "node_modules/Haraka/package.json")).exists();
  if (await isThere()) return folder;
  await mkdir(folder, { recursive: true });
  let problem = "";
  for (const overrides of [{}, olderParts]) {
    const wanted = { private: true, dependencies: { Haraka: version }, overrides };
    await writeFile(join(folder, "package.json"), JSON.stringify(wanted));
    const install = Bun.spawnSync(
      [process.execPath, "install", "--production", "--omit", "optional", "--ignore-scripts"],
      { cwd: folder, stdout: "pipe", stderr: "pipe" },
    );
    if (install.success && (await isThere())) return folder;
    problem = install.stderr.toString().trim();
  }
  throw new Error(`Haraka ${version} could not be installed from npm: ${problem.slice(-500)}`);
}
