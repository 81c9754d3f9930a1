/** What the gateway keeps in Convex and reads from it, in the words of the HTTP API. */
import {
  type ApiKeyView,
  type DnsRecordView,
  type DomainRecord,
  type DomainView,
  defaultOrganization,
  type EmailDetail,
  type EmailSummary,
  type InboxView,
  type MessageStatus,
  type Scope,
  type SuppressionView,
  suppressionKey,
} from "@tyto/contracts";
import { api } from "@tyto/convex/api";
import type { FunctionReturnType } from "convex/server";
import type { Convex } from "./convex.ts";
import type { NewKey } from "./keys.ts";

export type Page<Row> = { data: Row[]; next_cursor: string | null };
export type PageRequest = { cursor: string | null; limit: number };
export type EmailFilter = {
  status?: MessageStatus | undefined;
  recipient?: string | undefined;
  tag?: string | undefined;
  domain?: string | undefined;
};
type PublicKey = Pick<DomainRecord["keys"][number], "selector" | "algorithm" | "publicKey">;
/** A domain with what is public of its keys: those that sign, those that will, those that did. Times in ms since 1970. */
export type StoredDomain = DomainView & {
  returnPathHost: string;
  keys: PublicKey[];
  keysSinceMs: number;
  next: { number: number; startedAtMs: number; keys: PublicKey[] } | undefined;
  old: (PublicKey & { keepUntil: number })[];
};

export type Store = ReturnType<typeof createStore>;

/** Every function throws what convex.ts throws. */
export function createStore({ query, mutation }: Convex) {
  const { service } = api;
  return {
    /** The message, and when it is meant to leave if that is still ahead; `undefined` if Convex does not know it. */
    async findEmail(messageId: string): Promise<EmailDetail | undefined> {
      const found = await query(service.getMessage, { messageId });
      return found === null ? undefined : emailDetail(found);
    },
    async listEmails(filter: EmailFilter, page: PageRequest): Promise<Page<EmailSummary>> {
      const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
      const found = await query(service.listMessages, { ...given, ...page });
      return { data: found.page.map(emailSummary), next_cursor: found.cursor };
    },

    /** Where a received message can be read as it came; null until it is stored. */
    rawUrl: (id: string): Promise<string | null> => query(service.rawUrl, { id }),

    async listSuppressions(page: PageRequest): Promise<Page<SuppressionView>> {
      const found = await query(service.listSuppressions, page);
      return { data: found.page.map(suppressionView), next_cursor: found.cursor };
    },
    async addSuppression(address: string): Promise<SuppressionView> {
      const key = suppressionKey(address);
      return suppressionView(await mutation(service.addSuppression, { address, key, cause: "manual" }));
    },
    /** False if the address was not suppressed. */
    removeSuppression: (address: string) => mutation(service.removeSuppression, { address }),

    listDomains: async (): Promise<StoredDomain[]> =>
      (await query(service.listDomains, {})).map(storedDomain),
    async findDomain(domain: string): Promise<StoredDomain | undefined> {
      const row = await query(service.getDomain, { domain });
      return row === null ? undefined : storedDomain(row);
    },
    /** Throws Failure `domain.exists`. */
    addDomain: async (domain: string, returnPathHost: string, records: DnsRecordView[]) =>
      storedDomain(await mutation(service.addDomain, { domain, returnPathHost, records: rowsOf(records) })),
    /** Throws Failure `domain.unknown`. */
    rotateDomainKeys: async (domain: string) =>
      storedDomain(await mutation(service.rotateDomainKeys, { domain })),
    removeDomain: (domain: string) => mutation(service.removeDomain, { domain }),
    recordDnsCheck: async (
      domain: string,
      check: { records: DnsRecordView[]; state: DomainView["state"]; checkedAt: number },
    ) =>
      storedDomain(
        await mutation(service.recordDnsCheck, { domain, ...check, records: rowsOf(check.records) }),
      ),

    listInboxes: async (): Promise<InboxView[]> => (await query(service.listInboxes, {})).map(inboxView),
    /** Throws Failure `domain.unknown`. */
    addInbox: async (pattern: string): Promise<InboxView> =>
      inboxView(await mutation(service.addInbox, { pattern })),
    /** False if there was no such inbox. */
    removeInbox: (pattern: string) => mutation(service.removeInbox, { pattern }),

    listApiKeys: async (): Promise<ApiKeyView[]> => (await query(service.listApiKeys, {})).map(apiKeyView),
    async addApiKey({ apiKeyId, prefix, hash }: NewKey, name: string, scopes: Scope[]): Promise<ApiKeyView> {
      return apiKeyView(await mutation(service.addApiKey, { apiKeyId, prefix, hash, name, scopes }));
    },
    removeApiKey: (apiKeyId: string) => mutation(service.removeApiKey, { apiKeyId }),
    async touchApiKey(apiKeyId: string, at: number): Promise<void> {
      await mutation(service.touchApiKey, { apiKeyId, at });
    },
  };
}

/** The bucket's value of a domain that was added just now, until the recorder brings it. */
export const newDomainRecord = ({ domain, returnPathHost }: StoredDomain): DomainRecord => ({
  domain: domain as DomainRecord["domain"],
  organizationId: defaultOrganization,
  returnPathHost: returnPathHost as DomainRecord["returnPathHost"],
  keys: [],
  verified: false,
});

/** What the API shows of a domain. */
export const domainView = (stored: StoredDomain): DomainView => {
  const { domain, state, created_at, checked_at, records, rotation } = stored;
  return {
    domain,
    state,
    created_at,
    ...(checked_at === undefined ? {} : { checked_at }),
    records,
    ...(rotation === undefined ? {} : { rotation }),
  };
};

const iso = (ms: number) => new Date(ms).toISOString();

type Found = NonNullable<FunctionReturnType<typeof api.service.getMessage>>;

function emailDetail({ message, deliveries, timeline }: Found): EmailDetail {
  return {
    id: message.messageId,
    status: message.status,
    from: message.from,
    subject: message.subject,
    tags: message.tags,
    metadata: message.metadata,
    created_at: iso(message.acceptedAt),
    ...("scheduledAt" in message && message.scheduledAt !== undefined
      ? { scheduled_at: iso(message.scheduledAt) }
      : {}),
    recipients: deliveries.map(({ address, role, status, attempts, reason, reply }) => ({
      address,
      role,
      status,
      attempts,
      ...(reason === undefined ? {} : { reason }),
      ...(reply === undefined ? {} : { reply }),
    })),
    timeline: timeline.map(({ subject, at, recipient, reply, detail }) => ({
      at: iso(at),
      event: subject,
      ...(recipient === undefined ? {} : { recipient }),
      ...(reply === undefined ? {} : { reply }),
      detail,
    })),
  };
}

type Row = FunctionReturnType<typeof api.service.listMessages>["page"][number];

const emailSummary = (row: Row): EmailSummary => ({
  id: row.messageId,
  status: row.status,
  from: row.from,
  to: row.recipients,
  recipient_count: row.recipientCount,
  subject: row.subject,
  tags: row.tags,
  created_at: iso(row.acceptedAt),
  updated_at: iso(row.updatedAt),
  ...(row.scheduledAt === undefined ? {} : { scheduled_at: iso(row.scheduledAt) }),
  ...(row.lastReply === undefined ? {} : { last_reply: row.lastReply }),
});

const suppressionView = (
  row: FunctionReturnType<typeof api.service.listSuppressions>["page"][number],
): SuppressionView => ({
  address: row.address,
  cause: row.cause,
  since: iso(row.since),
  ...(row.messageId === undefined ? {} : { message_id: row.messageId }),
  ...(row.evidence === undefined ? {} : { evidence: row.evidence }),
});

/** In Convex a field is there or it is not. */
const rowsOf = (records: readonly DnsRecordView[]) =>
  records.map(({ stage, ...record }) => (stage === undefined ? record : { ...record, stage }));

type StoredRow = FunctionReturnType<typeof api.service.listDomains>[number];

const storedDomain = (row: StoredRow): StoredDomain => ({
  domain: row.domain,
  state: row.state,
  returnPathHost: row.returnPathHost,
  created_at: iso(row.createdAt),
  ...(row.checkedAt === undefined ? {} : { checked_at: iso(row.checkedAt) }),
  records: row.records,
  keys: row.keys,
  keysSinceMs: row.keysSince ?? row.createdAt,
  next:
    row.rotation === undefined
      ? undefined
      : { number: row.rotation.number, startedAtMs: row.rotation.startedAt, keys: row.rotation.keys },
  old: row.retired ?? [],
  ...rotationView(row),
});

function rotationView({
  rotation,
  retired = [],
}: Pick<StoredRow, "rotation" | "retired">): Pick<DomainView, "rotation"> {
  if (rotation === undefined && retired.length === 0) return {};
  return {
    rotation: {
      ...(rotation === undefined ? {} : { started_at: iso(rotation.startedAt) }),
      ...(retired.length === 0
        ? {}
        : { keep_until: iso(Math.max(...retired.map(({ keepUntil }) => keepUntil))) }),
    },
  };
}

const inboxView = ({
  pattern,
  since,
}: FunctionReturnType<typeof api.service.listInboxes>[number]): InboxView => ({ pattern, since: iso(since) });

const apiKeyView = (row: FunctionReturnType<typeof api.service.listApiKeys>[number]): ApiKeyView => ({
  id: row.apiKeyId,
  name: row.name,
  prefix: row.prefix,
  scopes: row.scopes,
  created_at: iso(row.createdAt),
  ...(row.lastUsedAt === undefined ? {} : { last_used_at: iso(row.lastUsedAt) }),
});
