/** Postfix as a null relay: takes mail from this machine and hands everything to one server. Debian's defaults otherwise. */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@tyto/test/parts/ports.ts";
import { postfixServices } from "@tyto/test/parts/postfix-files.ts";
import { until } from "@tyto/test/parts/until.ts";

const concurrency = (connections: number) => `default_process_limit = ${Math.max(100, connections * 2)}
default_destination_concurrency_limit = ${connections}
initial_destination_concurrency = ${connections}
smtpd_client_connection_count_limit = 0
`;

export type Relay = { address: string; pid: number; version: string; stop(): Promise<void> };

/** `connections`: at a time to the server, and clients at a time; Postfix's defaults without it. */
export async function startPostfixRelay(target: string, connections?: number): Promise<Relay> {
  const dir = await mkdtemp(join(tmpdir(), "tyto-relay-"));
  const [etc, spool, data] = [join(dir, "etc"), join(dir, "spool"), join(dir, "data")];
  for (const folder of [etc, spool, data]) await mkdir(folder);
  await chmod(dir, 0o755);
  const id = (flag: string) => Number(Bun.spawnSync(["id", flag, "postfix"]).stdout.toString());
  await chown(data, id("-u"), id("-g"));
  const port = await freePort();
  const [host, targetPort] = target.split(":");
  await writeFile(
    join(etc, "main.cf"),
    `compatibility_level = 3.6
queue_directory = ${spool}
data_directory = ${data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${dir}/log
maillog_file_prefixes = ${dir}
myhostname = relay.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [${host}]:${targetPort}
local_transport = error:no local delivery
in_flow_delay = 0
disable_dns_lookups = yes
smtp_dns_support_level = disabled
${connections === undefined ? "" : concurrency(connections)}`,
  );
  await writeFile(join(etc, "master.cf"), postfixServices(port));
  const postfix = (command: string) =>
    Bun.spawnSync(["postfix", "-c", etc, command], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
  const started = postfix("start");
  if (!started.success) throw new Error(`postfix did not start: ${started.stderr}`);
  const pid = await until("postfix's master runs", async () =>
    Number((await readFile(join(spool, "pid", "master.pid"), "utf8").catch(() => "")).trim()),
  );
  return {
    address: `127.0.0.1:${port}`,
    pid,
    version: Bun.spawnSync(["postconf", "-h", "mail_version"]).stdout.toString().trim(),
    async stop() {
      postfix("stop");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
