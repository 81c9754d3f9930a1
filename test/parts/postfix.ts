/**
 * A private Postfix as somebody else's mail server: it listens on a free loopback port, keeps real maildirs, refuses
 * unknown users at RCPT, greylists one domain, bounces another one late, and sends its own reports (DSN) to us.
 * Needs root, as Postfix's master does.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { startGreylisting } from "./greylisting.ts";
import { freePort } from "./ports.ts";
import { writePostfixFiles } from "./postfix-files.ts";
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

const programs = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Why Postfix cannot run here, or undefined when it can. */
export function postfixMissing(): string | undefined {
  if (Bun.which("postfix", { PATH: programs }) === null)
    return "postfix is not installed (apt-get install postfix)";
  if (process.getuid?.() !== 0) return "postfix needs root";
  return undefined;
}

export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const port = await freePort();
  const greylist = startGreylisting(options.greylisted ?? []);
  const dirs = await writePostfixFiles(options, { smtpPort: port, greylistPort: greylist.port });
  const postfix = (command: string) =>
    Bun.spawnSync(["postfix", "-c", dirs.etc, command], { env: { ...process.env, PATH: programs } });
  const log = () => readFile(join(dirs.root, "log"), "utf8").catch(() => "");
  const started = postfix("start");
  if (!started.success)
    throw new Error(`postfix did not start: ${started.stderr}${started.stdout}${await log()}`);
  await until("postfix listens", () => isListening(port));
  return {
    address: `127.0.0.1:${port}`,
    async mailbox(address) {
      const folder = join(dirs.mail, address, "new");
      const files = (await readdir(folder).catch(() => [])).toSorted();
      return Promise.all(files.map((file) => readFile(join(folder, file), "latin1")));
    },
    log,
    async stop() {
      postfix("stop");
      greylist.stop(true);
      await rm(dirs.root, { recursive: true, force: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).catch(
    () => undefined,
  );
  socket?.end();
  return socket !== undefined;
}
