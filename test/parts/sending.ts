/**
 * The way of accepted mail to a remote server and nothing else: nats-server, mta processes as people run them, and a server
 * that counts. For tests and measurements that kill them a hundred times; accepting and recording are done here, as
 * gateway and recorder do it.
 */
import { type Bus, done } from "@tyto/bus";
import {
  Address,
  Domain,
  type DomainRecord,
  defaultOrganization,
  newMessageId,
  type Payload,
  type UserName,
} from "@tyto/contracts";
import { type CountingServer, startCountingServer } from "./counting-server.ts";
import { type Kill, Kills, type Tally } from "./kills.ts";
import { type Mta, mtaMainDefault, startMta } from "./mta-process.ts";
import { until } from "./until.ts";

export type { Kill, Tally } from "./kills.ts";
export type { Mta } from "./mta-process.ts";

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
const domain = Domain.parse("sender.test");
const domainRecord: DomainRecord = {
  domain,
  organizationId: defaultOrganization,
  returnPathHost: Domain.parse("bounces.sender.test"),
  keys: [],
  verified: true,
};
const remoteDomains = 20;
/** Messages that are stored at a time. */
const acceptedAtOnceMax = 64;
const body = Buffer.from(`From: ann@sender.test\r\nSubject: hi\r\n\r\n${"x".repeat(500)}\r\n`);

type SendingOptions = { env?: Readonly<Record<string, string>>; answerMs?: number; mtaMain?: string };

export async function startSending(
  nats: Nats,
  { env = {}, answerMs = 0, mtaMain = mtaMainDefault }: SendingOptions = {},
): Promise<Sending> {
  const kills = new Kills();
  const remote = await startCountingServer({ answerMs, onTaken: (recipient) => kills.note(recipient) });
  const recorder = await nats.connect("recorder");
  const gateway = await nats.connect("gateway");
  const told = await record(recorder);
  const mtas = new Set<Mta>();
  let accepted = 0;
  return {
    remote,
    async accept(count) {
      let next = accepted;
      const end = accepted + count;
      accepted = end;
      const client = async () => {
        while (next < end) await acceptOne(gateway, next++);
      };
      await Promise.all(Array.from({ length: Math.min(acceptedAtOnceMax, count) }, client));
    },
    accepted: () => accepted,
    async startMta(name, more = {}) {
      const mta = await startMta({
        ...{ name, main: mtaMain, login: nats.login("mta"), remoteAddress: remote.address },
        env: { ...env, ...more },
      });
      mtas.add(mta);
      void mta.process.exited.then(() => mtas.delete(mta));
      return mta;
    },
    received: remote.recipients,
    told: () => told.size,
    duringKill: (what, kill) => kills.during(what, remote, kill, () => mtas.size === 0),
    kills: kills.list,
    tally: () =>
      kills.tally(Array.from({ length: accepted }, (_, index) => remote.times(recipientOf(index)))),
    async stop() {
      for (const mta of mtas) mta.process.kill("SIGTERM");
      await Promise.all([...mtas].map((mta) => mta.process.exited));
      await Promise.all([recorder.drain(), gateway.drain()]);
      await remote.stop();
    },
  };
}

/** Gives the sender's domain the keys that are made for it, and tells which deliveries were delivered. */
async function record(recorder: Bus): Promise<ReadonlySet<string>> {
  const told = new Set<string>();
  await recorder.bucket("DOMAINS").put(domain, domainRecord);
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      if (event.subject === "mail.delivered") told.add(event.payload.deliveryId);
      if (event.subject === "domain.keyed")
        await recorder.bucket("DOMAINS").put(domain, { ...domainRecord, keys: event.payload.keys });
    }
    return done;
  });
  return told;
}

const recipientOf = (index: number) => `r${index}@d${index % remoteDomains}.test`;

/** Until it is stored, as a careful client does it: the same ids make a repeat the same message. */
async function acceptOne(gateway: Bus, index: number): Promise<void> {
  const event = acceptedEvent(index);
  await until(
    `message ${index} is accepted`,
    async () => {
      try {
        await gateway.bodies.put(event.messageId, body);
        await gateway.publish("mail.accepted", event);
        return true;
      } catch {
        // NATS is being killed.
        return false;
      }
    },
    { withinMs: 120_000 },
  );
}

function acceptedEvent(index: number): Payload<"mail.accepted"> {
  const messageId = newMessageId();
  return {
    id: `${messageId}.accepted`,
    at: Date.now(),
    organizationId: defaultOrganization,
    messageId,
    messageIdHeader: `${index}@sender.test`,
    from: Address.parse("ann@sender.test"),
    domain,
    subject: "hi",
    recipients: [{ address: Address.parse(recipientOf(index)), role: "to" }],
    bodyBytes: body.length,
    bodyChunks: 1,
    attachments: 0,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + 86_400_000,
  };
}
