/**
 * Who may do what on NATS: one user per service, with the subjects it publishes, the durables it consumes and the
 * buckets it reads or writes. ops/nats.conf is generated from this table (`bun run codegen`).
 */
import type { BucketName } from "./buckets.ts";
import { type ControlName, controls } from "./control.ts";
import type { Subject } from "./events.ts";
import { type StreamName, sendConsumer } from "./streams.ts";
import { traffics } from "./values.ts";

export type UserSpec = {
  publishes: readonly Subject[];
  consumes: readonly string[];
  reads: readonly BucketName[];
  writes: readonly BucketName[];
  /** Streams besides EVENTS that it puts into, reads from directly, or drops from. */
  puts: readonly StreamName[];
  gets: readonly StreamName[];
  drops: readonly StreamName[];
  /** Streams that it counts and searches, by the durables that only look. */
  looks: readonly StreamName[];
  /** What it asks running processes, and what it answers; who may ask hears the answers to its own questions only. */
  asks: readonly ControlName[];
  answers: readonly ControlName[];
};

const mtaControls = Object.keys(controls) as ControlName[];

/** Buckets that the mta alone writes. CLAIMS it shares with the gateway. */
const ownOfMta = [
  "ATTEMPTS",
  "CLAIMS",
  "PEERS",
  "SHARES",
  "SITES",
  "HOLDS",
  "MEASURES",
  "BREAKERS",
  "WARMING",
  "QUARANTINES",
  "STS_POLICIES",
  "TLS_TALLIES",
  "TLS_REPORTS",
] as const;

export const users = {
  gateway: {
    publishes: ["mail.accepted", "mail.submitted", "mail.cancelled", "mail.suppressed", "mail.unsubscribed"],
    consumes: [],
    reads: ["SUPPRESSIONS", "DOMAINS", "API_KEYS", "IDEMPOTENCY", "CLAIMS"],
    writes: ["IDEMPOTENCY", "CLAIMS"],
    puts: ["BODY", "RATE"],
    gets: [],
    drops: [],
    looks: [],
    // Not to begin deliveries for a while is a matter between mta processes.
    asks: mtaControls.filter((name) => name !== "mta.withhold"),
    answers: [],
  },
  scanner: {
    publishes: ["mail.scanned", "mail.refused", "mail.held"],
    consumes: ["scanner"],
    reads: [],
    writes: [],
    puts: [],
    // EVENTS: where it ended when the scanner came, to know what may have been here before.
    gets: ["BODY", "EVENTS"],
    drops: ["BODY"],
    looks: [],
    asks: [],
    answers: [],
  },
  mta: {
    publishes: [
      "mail.suppressed",
      "mail.deferred",
      "mail.delivered",
      "mail.bounced",
      "domain.keyed",
      "sending.held",
      "sending.released",
      "egress.quarantined",
      "egress.released",
    ],
    consumes: ["mta-intake", "mta-feedback", ...traffics.map(sendConsumer)],
    reads: ["SUPPRESSIONS", "DOMAINS", ...ownOfMta],
    writes: ownOfMta,
    // BODY: dropped parts give way to empty ones.
    puts: ["QUEUE", "BODY"],
    // EVENTS: what became of a message that comes a second time.
    gets: ["BODY", "QUEUE", "EVENTS"],
    drops: ["BODY", "QUEUE"],
    looks: ["QUEUE"],
    asks: ["mta.withhold"],
    answers: mtaControls,
  },
  bounce: {
    publishes: [
      "mail.bounced",
      "mail.reported",
      "mail.received",
      "mail.complained",
      "mail.unsubscribed",
      "mail.replied",
      "report.dmarc",
      "report.tls",
    ],
    consumes: [],
    reads: ["DOMAINS", "INBOXES"],
    writes: [],
    puts: ["RAW"],
    gets: [],
    drops: [],
    looks: [],
    asks: [],
    answers: [],
  },
  recorder: {
    publishes: [],
    consumes: ["recorder", "recorder-raw"],
    reads: ["SYNC", "SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES"],
    writes: ["SYNC", "SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES"],
    // RAW: dropped parts give way to empty ones.
    puts: ["RAW"],
    gets: ["RAW"],
    drops: ["RAW"],
    looks: [],
    asks: [],
    answers: [],
  },
} as const satisfies Record<string, UserSpec>;

/** Besides these: `admin` (makes streams and consumers at start, `tyto dlq`) and `subscriber` (reads `mail.>`, `report.>`, `sending.>` and `egress.>`, nothing else). */
export type UserName = keyof typeof users;
