/**
 * A private Postfix as somebody else's mail server: it listens on a free loopback port, keeps real maildirs, refuses
 * unknown users at RCPT, greylists one domain, bounces another one late, and sends its own reports (DSN) to us.
 * Needs root, as Postfix's master does.
 */
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

export type Postfix = {
  /** `127.0.0.1:PORT`, for the mta's route table. */
  address: string;
  /** Raw messages in the mailbox of a user, oldest first. */
  mailbox(address: string): Promise<string[]>;
  log(): Promise<string>;
  stop(): Promise<void>;
};

export type PostfixOptions = {
  /** Mailboxes that exist, such as `ann@good.test`. Any other user of these domains is refused with 550 5.1.1. */
  mailboxes: readonly string[];
  /** Domains whose first attempt per sender and recipient gets 450 4.2.0. */
  greylisted?: readonly string[];
  /** Domains whose mail is accepted and fails during delivery, so that Postfix sends a report. */
  failingLate?: readonly string[];
  /** Domains whose mail is accepted and refused later with these words, such as `5.2.2 Mailbox full`. */
  refusingLate?: Readonly<Record<string, string>>;
  /** Where mail for a domain goes, such as `{ "bounces.sender.test": "127.0.0.1:2525" }`. */
  routes?: Readonly<Record<string, string>>;
};

/** Why Postfix cannot run here, or undefined when it can. */
export function postfixMissing(): string | undefined {
  if (Bun.which("postfix", { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }) === null)
    return "postfix is not installed (apt-get install postfix)";
  if (process.getuid?.() !== 0) return "postfix needs root";
  return undefined;
}

const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1);

/** Postfix's policy protocol: one request is lines of name=value and an empty line; the answer is one action. */
function startGreylisting(domains: readonly string[]) {
  const seen = new Set<string>();
  return Bun.listen<{ buffered: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { buffered: "" };
      },
      data(socket, chunk) {
        socket.data.buffered += chunk.toString();
        for (
          let end = socket.data.buffered.indexOf("\n\n");
          end >= 0;
          end = socket.data.buffered.indexOf("\n\n")
        ) {
          const request = Object.fromEntries(
            socket.data.buffered
              .slice(0, end)
              .split("\n")
              .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
          );
          socket.data.buffered = socket.data.buffered.slice(end + 2);
          const recipient = request.recipient ?? "";
          const pair = `${request.sender} ${recipient}`;
          const wait = domains.includes(domainOf(recipient)) && !seen.has(pair);
          seen.add(pair);
          socket.write(`action=${wait ? "450 4.2.0 Greylisted, please try again" : "dunno"}\n\n`);
        }
      },
    },
  });
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

export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const dir = await mkdtemp(join(tmpdir(), "tyto-postfix-"));
  const [etc, spool, data, mail] = ["etc", "spool", "data", "mail"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const folder of [etc, spool, data, mail]) await mkdir(folder);
  const id = (name: string) => Number(Bun.spawnSync(["id", "-u", name]).stdout.toString());
  const group = Number(Bun.spawnSync(["id", "-g", "postfix"]).stdout.toString());
  await chmod(dir, 0o755);
  await chown(data, id("postfix"), group);
  await chown(mail, id("nobody"), group);

  const port = await freePort();
  const greylist = startGreylisting(options.greylisted ?? []);
  const failing = options.failingLate ?? [];
  const refusing = Object.entries(options.refusingLate ?? {});
  const domains = [...new Set(options.mailboxes.map(domainOf))];
  const key = join(etc, "key.pem");
  const certificate = join(etc, "certificate.pem");
  const made = Bun.spawnSync([
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
    "-keyout",
    key,
    "-out",
    certificate,
  ]);
  if (!made.success) throw new Error(`openssl failed: ${made.stderr}`);

  const maps = (entries: [string, string][]) => entries.map(([name, value]) => `${name} ${value}\n`).join("");
  await writeFile(join(etc, "mailboxes"), maps(options.mailboxes.map((address) => [address, `${address}/`])));
  await writeFile(
    join(etc, "transport"),
    maps([
      ...failing.map((domain): [string, string] => [domain, "late:"]),
      ...refusing.map(([domain], index): [string, string] => [domain, `refusal${index}:`]),
      ...Object.entries(options.routes ?? {}).map(([domain, target]): [string, string] => {
        const [host, routePort] = target.split(":");
        return [domain, `smtp:[${host}]:${routePort}`];
      }),
    ]),
  );
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
myhostname = mx.postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:${greylist.port}
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${certificate}
smtpd_tls_key_file = ${key}
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
relay_domains = ${[...failing, ...refusing.map(([domain]) => domain)].join(" ")}
transport_maps = texthash:${etc}/transport
virtual_mailbox_domains = ${domains.join(" ")}
virtual_mailbox_base = ${mail}
virtual_mailbox_maps = texthash:${etc}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:${id("nobody")}
virtual_gid_maps = static:${group}
disable_dns_lookups = yes
smtp_dns_support_level = disabled
in_flow_delay = 0
`,
  );
  await writeFile(
    join(etc, "master.cf"),
    `${postfixServices(port)}virtual   unix - n n - - virtual
late      unix - n n - - pipe user=nobody argv=${join(dir, "no-such-user")}
${refusing.map((_, index) => `refusal${index} unix - n n - - pipe user=nobody argv=${join(dir, `refusal${index}`)}\n`).join("")}`,
  );
  // EX_UNAVAILABLE (69): pipe(8) reports the status and the text that the command printed.
  for (const [index, [, says]] of refusing.entries())
    await writeFile(join(dir, `refusal${index}`), `#!/bin/sh\necho '${says}'\nexit 69\n`, { mode: 0o755 });
  // EX_NOUSER (67) makes pipe(8) report 5.1.1, as a delivery agent does for a mailbox that vanished.
  await writeFile(join(dir, "no-such-user"), "#!/bin/sh\nexit 67\n", { mode: 0o755 });

  const postfix = (command: string) =>
    Bun.spawnSync(["postfix", "-c", etc, command], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
  const started = postfix("start");
  const log = () => readFile(join(dir, "log"), "utf8").catch(() => "");
  if (!started.success)
    throw new Error(`postfix did not start: ${started.stderr}${started.stdout}${await log()}`);
  await until("postfix listens", async () => {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(
      () => undefined,
    );
    socket?.end();
    return socket !== undefined;
  });

  return {
    address: `127.0.0.1:${port}`,
    async mailbox(address) {
      const folder = join(mail, address, "new");
      const files = (await readdir(folder).catch(() => [])).toSorted();
      return Promise.all(files.map((file) => readFile(join(folder, file), "latin1")));
    },
    log,
    async stop() {
      postfix("stop");
      greylist.stop(true);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
