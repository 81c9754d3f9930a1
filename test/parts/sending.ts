/**
 * The way of accepted mail to a remote server and nothing else: nats-server, mta processes as people run them, and a server
 * that counts. For tests and measurements that kill them a hundred times; accepting and recording are done here, as
 * gateway and recorder do it.
 */

import { join } from "node:path";
import { type Bus, done } from "@tyto/bus";
import {
  Address,
  Domain,
  type DomainRecord,
  defaultOrganization,
  newMessageId,
  type UserName,
} from "@tyto/contracts";
import { type CountingServer, startCountingServer } from "./counting-server.ts";
import { until } from "./until.ts";

/** What `startNats` and `startCluster` have in common. */
export type Nats = {
  login(user: UserName): { url: string; user?: string | undefined; password?: string | undefined };
  connect(user: UserName): Promise<Bus>;
};

export type Sending = {
  remote: CountingServer;
  /** Accepts one message for each recipient `r<index>@d<index mod 20>.test`, from where it stopped, and resolves when all are stored. */
  accept(count: number): Promise<void>;
  accepted(): number;
  /** Starts one more mta; resolves when it is ready. `name` tells processes apart. */
  startMta(name: string, env?: Readonly<Record<string, string>>): Promise<Mta>;
  /** Recipients that have their mail. */
  received(): number;
  /** Deliveries of which an event tells that they were delivered. */
  told(): number;
  /**
   * Something is killed by `kill`; resolves when what it had sent has arrived. Later copies of what had come until then
   * count as duplicates of this kill.
   */
  duringKill(what: string, kill: () => Promise<unknown>): Promise<Kill>;
  kills: readonly Kill[];
  tally(): Tally;
  stop(): Promise<void>;
};
export type Mta = { process: Bun.Subprocess; url: string };
export type Kill = {
  what: string;
  /** Recipients that had their mail. */
  received: number;
  /** Connections that were open, and those that came in before the next start: nobody can know more of what was in flight. */
  connections: number;
  duplicates: number;
};
export type Tally = {
  accepted: number;
  lost: number;
  duplicates: number;
  /** Duplicates of messages whose first copy came after the last kill. */
  unexplained: number;
  /** Kills after which more came twice than connections were open. */
  excessive: number;
  connectionsAtKills: number;
};

const domain = Domain.parse("sender.test");
const record: DomainRecord = {
  domain,
  organizationId: defaultOrganization,
  returnPathHost: Domain.parse("bounces.sender.test"),
  keys: [],
  verified: true,
};
const remoteDomains = 20;
const drainMs = 100;
/** Messages that are stored at a time. */
const acceptedAtOnceMax = 64;
const root = join(import.meta.dir, "../..");

export async function startSending(
  nats: Nats,
  {
    env = {},
    answerMs = 0,
    mtaMain = join(root, "services/mta/src/main.ts"),
  }: {
    env?: Readonly<Record<string, string>>;
    answerMs?: number;
    mtaMain?: string;
  } = {},
): Promise<Sending> {
  /** The kill after which the first copy of each came; -1 before the first. */
  const firstAfter = new Map<string, number>();
  const latestAfter = new Map<string, number>();
  const kills: Kill[] = [];
  let present: Kill | undefined;
  let unexplained = 0;
  const remote = await startCountingServer({
    answerMs,
    onTaken(recipient) {
      const before = latestAfter.get(recipient);
      latestAfter.set(recipient, kills.length);
      if (before === undefined) return void firstAfter.set(recipient, kills.length);
      const kill = kills[before] ?? present;
      if (kill === undefined) unexplained++;
      else kill.duplicates++;
    },
  });
  const told = new Set<string>();
  const recorder = await nats.connect("recorder");
  const gateway = await nats.connect("gateway");
  await recorder.bucket("DOMAINS").put(domain, record);
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      if (event.subject === "mail.delivered") told.add(event.payload.deliveryId);
      if (event.subject === "domain.keyed")
        await recorder.bucket("DOMAINS").put(domain, { ...record, keys: event.payload.keys });
    }
    return done;
  });

  const mtas = new Set<Mta>();
  let accepted = 0;
  const body = Buffer.from(`From: ann@sender.test\r\nSubject: hi\r\n\r\n${"x".repeat(500)}\r\n`);
  const acceptOne = async (index: number): Promise<void> => {
    const messageId = newMessageId();
    const event = {
      id: `${messageId}.accepted`,
      at: Date.now(),
      organizationId: defaultOrganization,
      messageId,
      messageIdHeader: `${index}@sender.test`,
      from: Address.parse("ann@sender.test"),
      domain,
      subject: "hi",
      recipients: [
        { address: Address.parse(`r${index}@d${index % remoteDomains}.test`), role: "to" as const },
      ],
      bodyBytes: body.length,
      bodyChunks: 1,
      attachments: 0,
      tags: [],
      metadata: {},
      expiresAt: Date.now() + 86_400_000,
    };
    // Until it is stored, as a careful client does it: the same ids make a repeat the same message.
    await until(
      `message ${index} is accepted`,
      async () => {
        try {
          await gateway.bodies.put(messageId, body);
          await gateway.publish("mail.accepted", event);
          return true;
        } catch {
          // NATS is being killed.
          return false;
        }
      },
      { withinMs: 120_000 },
    );
  };

  const sending: Sending = {
    remote,
    async accept(count) {
      let next = accepted;
      const end = accepted + count;
      accepted = end;
      const client = async () => {
        while (next < end) await acceptOne(next++);
      };
      await Promise.all(Array.from({ length: Math.min(acceptedAtOnceMax, count) }, client));
    },
    accepted: () => accepted,
    async startMta(name, more = {}) {
      const { url, user = "", password = "" } = nats.login("mta");
      const child = Bun.spawn([process.execPath, mtaMain], {
        env: {
          PATH: process.env.PATH ?? "",
          NATS_URL: url,
          NATS_USER: user,
          NATS_PASSWORD: password,
          HEALTH_PORT: "0",
          MTA_NAME: name,
          MTA_SECRET: "a secret of the test, long enough",
          BOUNCE_VERP_KEY: "a verp key of the test, long enough",
          MAIL_HOSTNAME: "mail.tyto.test",
          TYTO_ROUTES: `*=${remote.address}`,
          RETRY_FIRST_S: "0.5",
          LOG_LEVEL: "info",
          ...env,
          ...more,
        },
        stdout: "pipe",
        stderr: "inherit",
      });
      const started = Promise.withResolvers<void>();
      let last = "";
      void (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of child.stdout) {
          last = (last + decoder.decode(chunk, { stream: true })).slice(-4_000);
          if (last.includes("service.started")) started.resolve();
        }
        started.reject(new Error(`the mta ended:\n${last}`));
      })();
      await started.promise;
      const mta: Mta = { process: child, url };
      mtas.add(mta);
      void child.exited.then(() => mtas.delete(mta));
      return mta;
    },
    received: remote.recipients,
    told: () => told.size,
    async duringKill(what, kill) {
      const [openBefore, connectionsBefore] = [remote.openConnections(), remote.connections()];
      const one = { what, received: remote.recipients(), connections: openBefore, duplicates: 0 };
      present = one;
      await kill();
      // What lay in the sockets of a dead process is still read.
      await Bun.sleep(drainMs);
      one.connections += remote.connections() - connectionsBefore;
      present = undefined;
      kills.push(one);
      return one;
    },
    kills,
    tally() {
      const recipients = Array.from(
        { length: accepted },
        (_, index) => `r${index}@d${index % remoteDomains}.test`,
      );
      const extra = recipients.map((recipient) => remote.times(recipient) - 1);
      return {
        accepted,
        lost: extra.filter((count) => count < 0).length,
        duplicates: extra.reduce((sum, count) => sum + Math.max(0, count), 0),
        unexplained,
        excessive: kills.filter((kill) => kill.duplicates > kill.connections).length,
        connectionsAtKills: kills.reduce((sum, kill) => sum + kill.connections, 0),
      };
    },
    async stop() {
      for (const mta of mtas) mta.process.kill("SIGTERM");
      await Promise.all([...mtas].map((mta) => mta.process.exited));
      await Promise.all([recorder.drain(), gateway.drain()]);
      await remote.stop();
    },
  };
  return sending;
}
