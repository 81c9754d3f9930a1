/** What a private Postfix reads: its configuration, and the programs that deliver for it. */
import { chmod, chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PostfixOptions } from "./postfix.ts";

export type Folders = { root: string; etc: string; spool: string; data: string; mail: string };
type Ids = { postfix: number; nobody: number; group: number };
type Ports = { smtpPort: number; greylistPort: number };

const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1);

export async function writePostfixFiles(options: PostfixOptions, ports: Ports): Promise<Folders> {
  const ids: Ids = {
    postfix: idOf("-u", "postfix"),
    nobody: idOf("-u", "nobody"),
    group: idOf("-g", "postfix"),
  };
  const dirs = await makeFolders(ids);
  makeCertificate(dirs.etc);
  await writeFile(
    join(dirs.etc, "mailboxes"),
    mapOf(options.mailboxes.map((address) => [address, `${address}/`])),
  );
  await writeFile(join(dirs.etc, "transport"), mapOf(transports(options)));
  await writeFile(join(dirs.etc, "main.cf"), mainCf(options, dirs, ids, ports.greylistPort));
  await writeFile(join(dirs.etc, "master.cf"), masterCf(options, dirs.root, ports.smtpPort));
  await writePrograms(options, dirs.root);
  return dirs;
}

const idOf = (which: "-u" | "-g", name: string) =>
  Number(Bun.spawnSync(["id", which, name]).stdout.toString());

async function makeFolders(ids: Ids): Promise<Folders> {
  const root = await mkdtemp(join(tmpdir(), "tyto-postfix-"));
  const within = (name: string) => join(root, name);
  const [etc, spool, data, mail] = [within("etc"), within("spool"), within("data"), within("mail")];
  const dirs = { root, etc, spool, data, mail };
  for (const folder of [dirs.etc, dirs.spool, dirs.data, dirs.mail]) await mkdir(folder);
  await chmod(root, 0o755);
  await chown(dirs.data, ids.postfix, ids.group);
  await chown(dirs.mail, ids.nobody, ids.group);
  return dirs;
}

function makeCertificate(etc: string): void {
  const made = Bun.spawnSync([
    ...[
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=mx.postfix.test",
    ],
    ...["-keyout", join(etc, "key.pem"), "-out", join(etc, "certificate.pem")],
  ]);
  if (!made.success) throw new Error(`openssl failed: ${made.stderr}`);
}

const mapOf = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([name, value]) => `${name} ${value}\n`).join("");

function transports({
  failingLate = [],
  refusingLate = {},
  routes = {},
}: PostfixOptions): [string, string][] {
  return [
    ...failingLate.map((domain): [string, string] => [domain, "late:"]),
    ...Object.keys(refusingLate).map((domain, index): [string, string] => [domain, `refusal${index}:`]),
    ...Object.entries(routes).map(([domain, target]): [string, string] => {
      const [host, port] = target.split(":");
      return [domain, `smtp:[${host}]:${port}`];
    }),
  ];
}

function mainCf(options: PostfixOptions, dirs: Folders, ids: Ids, greylistPort: number): string {
  const relayed = [...(options.failingLate ?? []), ...Object.keys(options.refusingLate ?? {})];
  const hosted = [...new Set(options.mailboxes.map(domainOf))];
  return `compatibility_level = 3.6
queue_directory = ${dirs.spool}
data_directory = ${dirs.data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${dirs.root}/log
maillog_file_prefixes = ${dirs.root}
myhostname = mx.postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:${greylistPort}
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${dirs.etc}/certificate.pem
smtpd_tls_key_file = ${dirs.etc}/key.pem
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
relay_domains = ${relayed.join(" ")}
transport_maps = texthash:${dirs.etc}/transport
virtual_mailbox_domains = ${hosted.join(" ")}
virtual_mailbox_base = ${dirs.mail}
virtual_mailbox_maps = texthash:${dirs.etc}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:${ids.nobody}
virtual_gid_maps = static:${ids.group}
disable_dns_lookups = yes
smtp_dns_support_level = disabled
in_flow_delay = 0
`;
}

/** The services of master.cf that any Postfix needs, with its SMTP port on loopback. */
export const postfixServices = (port: number) => `127.0.0.1:${port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
showq     unix n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
`;

function masterCf({ refusingLate = {} }: PostfixOptions, root: string, port: number): string {
  const piped = (name: string, program: string) =>
    `${name} unix - n n - - pipe user=nobody argv=${join(root, program)}\n`;
  const refusals = Object.keys(refusingLate).map((_, index) => piped(`refusal${index}`, `refusal${index}`));
  return `${postfixServices(port)}virtual   unix - n n - - virtual
${piped("late", "no-such-user")}${refusals.join("")}`;
}

async function writePrograms({ refusingLate = {} }: PostfixOptions, root: string): Promise<void> {
  // EX_UNAVAILABLE (69): pipe(8) reports the status and the text that the command printed.
  for (const [index, says] of Object.values(refusingLate).entries())
    await writeFile(join(root, `refusal${index}`), `#!/bin/sh\necho '${says}'\nexit 69\n`, { mode: 0o755 });
  // EX_NOUSER (67) makes pipe(8) report 5.1.1, as a delivery agent does for a mailbox that vanished.
  await writeFile(join(root, "no-such-user"), "#!/bin/sh\nexit 67\n", { mode: 0o755 });
}
