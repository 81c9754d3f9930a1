import type { Reply } from "@tyto/contracts";

/** What reaches a receiver. */
export type Incoming = { ip: string; id: string; isUnknown: boolean };

/** A mailbox provider as it looks from outside: what it takes from an address grows with what it thinks of it. */
export type Receiver = {
  /** `reportedAfterMs`: its recipient calls it spam, and the provider passes that on after so long. */
  receive(mail: Incoming, nowMs: number): { reply: Reply; reportedAfterMs?: number };
  /** 0 to 1, what it thinks of an address now. */
  reputationOf(ip: string): number;
};

/** How a kind of receiver behaves. Nobody publishes such numbers; these are made so that senders fare as they tell of it. */
export type Manner = {
  mx: string;
  /** Messages an hour from an address without a name, and from one of the best. */
  hourly: { least: number; most: number };
  /** More than so many times the best day so far is a jump. Small senders are left alone. */
  jump: { times: number; least: number };
  /** Shares of unknown recipients and of complaints from which on its opinion falls. */
  tolerates: { unknown: number; complaints: number };
  /** How quickly a clean day mends its opinion, and how much a bad one takes. */
  grows: number;
  falls: number;
  /** It passes complaints on (RFC 5965); what others hear of them is its opinion alone. */
  reports: boolean;
  greylistMs?: number;
  says: { accepted: string; throttled: string; unknown: string; blocked: string; greylisted?: string };
};

/** People read their mail within a day. */
const reportMs = { least: 3_600_000, most: 24 * 3_600_000 };
const first = 0.08;
/** Below this, everything is refused for good. */
const blockedBelow = 0.015;
/** Fewer unknown recipients or complaints than this are an accident. */
const few = 5;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
/** Days whose volume is remembered. */
const memoryDays = 30;

type Standing = {
  reputation: number;
  hour: { number: number; count: number };
  day: { number: number; accepted: number; unknown: number; complaints: number; throttled: number };
  /** The best day of the last `memoryDays`. */
  best: number[];
};

/** One receiver. `complaints` is the share of accepted messages that a recipient calls spam. */
export function createReceiver(manner: Manner, complaints: number, random: () => number): Receiver {
  const standings = new Map<string, Standing>();
  const seen = new Map<string, number>();

  function standingOf(ip: string, nowMs: number): Standing {
    const day = Math.floor(nowMs / dayMs);
    let standing = standings.get(ip);
    if (standing === undefined) {
      standing = { reputation: first, hour: { number: 0, count: 0 }, day: emptyDay(day), best: [] };
      standings.set(ip, standing);
    }
    if (standing.day.number < day) endDay(standing, manner, day);
    const hour = Math.floor(nowMs / hourMs);
    if (standing.hour.number !== hour) standing.hour = { number: hour, count: 0 };
    return standing;
  }

  return {
    receive({ ip, id, isUnknown }, nowMs) {
      const standing = standingOf(ip, nowMs);
      const { says } = manner;
      if (standing.reputation < blockedBelow) return { reply: parse(says.blocked, ip) };
      const { least, most } = manner.hourly;
      const hourlyMax = least + (most - least) * standing.reputation ** 2;
      const jumpMax = Math.max(manner.jump.least, manner.jump.times * Math.max(0, ...standing.best));
      if (standing.hour.count >= hourlyMax || standing.day.accepted >= jumpMax) {
        standing.day.throttled++;
        return { reply: parse(says.throttled, ip) };
      }
      if (manner.greylistMs !== undefined && says.greylisted !== undefined && standing.reputation < 0.4) {
        const firstMs = seen.get(`${ip} ${id}`);
        if (firstMs === undefined) seen.set(`${ip} ${id}`, nowMs);
        if (nowMs - (firstMs ?? nowMs) < manner.greylistMs) return { reply: parse(says.greylisted, ip) };
      }
      standing.hour.count++;
      if (isUnknown) {
        standing.day.unknown++;
        return { reply: parse(says.unknown, ip) };
      }
      standing.day.accepted++;
      const reply = parse(says.accepted, ip);
      if (random() >= complaints) return { reply };
      standing.day.complaints++;
      return manner.reports ? { reply, reportedAfterMs: readAfterMs(id) } : { reply };
    },
    reputationOf: (ip) => standings.get(ip)?.reputation ?? first,
  };
}

/** When the recipient of this message reads it. */
const readAfterMs = (id: string): number =>
  reportMs.least + ((reportMs.most - reportMs.least) * Bun.hash.crc32(id)) / 2 ** 32;

const emptyDay = (number: number): Standing["day"] => ({
  number,
  ...{ accepted: 0, unknown: 0, complaints: 0, throttled: 0 },
});

/** Opinions are made once a day, from what came that day. Who sends nothing is neither better nor worse the day after. */
function endDay(standing: Standing, { tolerates, grows, falls }: Manner, next: number): void {
  const { accepted, unknown, complaints, throttled } = standing.day;
  const all = accepted + unknown;
  if (all >= 10) {
    const isBad =
      (unknown >= few && unknown / all > tolerates.unknown) ||
      (complaints >= few && complaints / Math.max(1, accepted) > tolerates.complaints);
    // Whoever goes on knocking at a closed door is no gentleman either.
    const isPushy = throttled > 2 * all;
    if (isBad) standing.reputation *= falls;
    else if (isPushy) standing.reputation *= (1 + falls) / 2;
    else standing.reputation += grows * (1 - standing.reputation) * Math.min(1, all / 100);
  }
  standing.best = [...standing.best, accepted].slice(-memoryDays);
  standing.day = emptyDay(next);
}

/** `451 4.7.650 The mail server [%ip] …` */
function parse(line: string, ip: string): Reply {
  const [, code = "250", enhanced, text = ""] =
    /^(\d{3})[ -](?:(\d\.\d{1,3}\.\d{1,3}) )?(.*)$/s.exec(line) ?? [];
  return {
    code: Number(code),
    ...(enhanced === undefined ? {} : { enhanced }),
    text: text.replaceAll("%ip", ip),
  };
}

const postfix = {
  accepted: "250 2.0.0 Ok: queued as 4XyZk31QzPz9vLk",
  throttled: "450 4.7.1 Error: too many messages from %ip, slow down",
  unknown: "550 5.1.1 Recipient address rejected: User unknown in virtual mailbox table",
  blocked: "554 5.7.1 Service unavailable; Client host [%ip] blocked using zen.spamhaus.org",
  greylisted: "450 4.2.0 Recipient address rejected: Greylisted, try again in 5 minutes",
};

/** The large providers, in their own words, and everybody else as one that greylists. */
export const manners: Readonly<Record<string, Manner>> = {
  google: {
    mx: "gmail-smtp-in.l.google.com",
    hourly: { least: 60, most: 60_000 },
    jump: { times: 3, least: 300 },
    tolerates: { unknown: 0.05, complaints: 0.003 },
    grows: 0.07,
    falls: 0.6,
    reports: false,
    says: {
      accepted: "250 2.0.0 OK  1766000000 d2e1a72fcca58-7b9 - gsmtp",
      throttled:
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited. For more information, go to https://support.google.com/mail/?p=UnsolicitedRateLimitError - gsmtp",
      unknown:
        "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser - gsmtp",
      blocked:
        "550 5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. For more information, go to https://support.google.com/mail/?p=UnsolicitedMessageError - gsmtp",
    },
  },
  microsoft: {
    mx: "example-com.mail.protection.outlook.com",
    hourly: { least: 40, most: 40_000 },
    jump: { times: 2.5, least: 200 },
    tolerates: { unknown: 0.04, complaints: 0.003 },
    grows: 0.06,
    falls: 0.5,
    reports: true,
    says: {
      accepted: "250 2.6.0 <message@example.com> Queued mail for delivery",
      throttled:
        "451 4.7.650 The mail server [%ip] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775)",
      unknown: "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
      blocked:
        "550 5.7.1 Unfortunately, messages from [%ip] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).",
    },
  },
  yahoo: {
    mx: "mta7.am0.yahoodns.net",
    hourly: { least: 30, most: 20_000 },
    jump: { times: 2.5, least: 150 },
    tolerates: { unknown: 0.04, complaints: 0.002 },
    grows: 0.06,
    falls: 0.5,
    reports: true,
    says: {
      accepted: "250 ok dirdel",
      throttled:
        "421 4.7.0 [TSS04] Messages from %ip temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
      unknown: "552 1 Requested mail action aborted, mailbox not found",
      blocked:
        "553 5.7.2 [TSS09] All messages from %ip will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
    },
  },
  apple: {
    mx: "mx01.mail.icloud.com",
    hourly: { least: 40, most: 20_000 },
    jump: { times: 3, least: 200 },
    tolerates: { unknown: 0.05, complaints: 0.003 },
    grows: 0.06,
    falls: 0.6,
    reports: false,
    says: {
      ...postfix,
      throttled: "450 4.7.1 Too many messages from %ip, slow down",
      unknown: "550 5.1.1 unknown or illegal alias",
      blocked: "550 5.7.1 Mail from IP %ip was rejected due to listing in Proofpoint PDR",
    },
  },
  other: {
    mx: "mx.example.net",
    hourly: { least: 200, most: 20_000 },
    jump: { times: 10, least: 1_000 },
    tolerates: { unknown: 0.1, complaints: 0.01 },
    grows: 0.1,
    falls: 0.7,
    greylistMs: 240_000,
    reports: true,
    says: postfix,
  },
};
