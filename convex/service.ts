/** What the gateway does for its API, after it has checked who asks. Addresses and domains come parsed. */
import { defaultOrganization } from "@tyto/contracts";
import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { gatewayMutation, gatewayQuery, refusal } from "./functions.ts";
import * as apiKeys from "./model/apiKeys.ts";
import { defined } from "./model/defined.ts";
import * as domains from "./model/domains.ts";
import { rawUrlOf } from "./model/inbound.ts";
import * as inboxes from "./model/inboxes.ts";
import * as messages from "./model/messages.ts";
import { afterLook } from "./model/rotation.ts";
import { dnsRecord, domainState, messageStatus, scope, suppressionCause } from "./model/shapes.ts";
import * as suppressions from "./model/suppressions.ts";

const cursor = nullable(v.string());

export const getMessage = gatewayQuery({
  args: { messageId: v.string() },
  returns: nullable(messages.messageDetail),
  handler: async (ctx, { messageId }) => await messages.getMessage(ctx, messageId),
});

/** Newest first. `cursor` is null on the first call, and in the answer when there is no further page. */
export const listMessages = gatewayQuery({
  args: {
    status: v.optional(messageStatus),
    recipient: v.optional(v.string()),
    tag: v.optional(v.string()),
    domain: v.optional(v.string()),
    cursor,
    limit: v.number(),
  },
  returns: v.object({ page: v.array(messages.messageRow), cursor }),
  handler: async (ctx, { cursor, limit, ...filter }) =>
    await messages.listMessages(ctx, filter, cursor, limit),
});

/** Where the raw message of a received mail can be read; null until it is stored. */
export const rawUrl = gatewayQuery({
  args: { id: v.string() },
  returns: nullable(v.string()),
  handler: async (ctx, { id }) => (await rawUrlOf(ctx, id)) ?? null,
});

/** By address. `cursor` is the last address of the page before. */
export const listSuppressions = gatewayQuery({
  args: { cursor, limit: v.number() },
  returns: v.object({ page: v.array(suppressions.suppressionRow), cursor }),
  handler: async (ctx, { cursor, limit }) => await suppressions.listSuppressions(ctx, cursor, limit),
});

/** Suppresses an address; harmless if it is suppressed. `key` is suppressionKey(address) of @tyto/contracts. */
export const addSuppression = gatewayMutation({
  args: {
    address: v.string(),
    key: v.string(),
    cause: suppressionCause,
    evidence: v.optional(v.string()),
  },
  returns: suppressions.suppressionRow,
  handler: async (ctx, { address, key, cause, evidence }) => {
    if (key !== (await suppressions.suppressionKey(address)))
      throw refusal("request.invalid", "key must be the sha256 of the address in lower case");
    return await suppressions.addSuppression(
      ctx,
      defined({
        organizationId: defaultOrganization,
        address,
        cause,
        since: Date.now(),
        evidence,
      }),
    );
  },
});

/** False if the address was not suppressed. */
export const removeSuppression = gatewayMutation({
  args: { address: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { address }) => await suppressions.unsuppress(ctx, address),
});

export const listDomains = gatewayQuery({
  args: {},
  returns: v.array(domains.domainRow),
  handler: async (ctx) =>
    (await ctx.db.query("domains").withIndex("by_domain").take(domains.domainsMax)).map(domains.domainView),
});

export const getDomain = gatewayQuery({
  args: { domain: v.string() },
  returns: nullable(domains.domainRow),
  handler: async (ctx, { domain }) => {
    const row = await domains.findDomain(ctx, domain);
    return row === null ? null : domains.domainView(row);
  },
});

/** Fails with `domain.exists` if it is there. It is `preparing` until the mta's keys came. */
export const addDomain = gatewayMutation({
  args: { domain: v.string(), returnPathHost: v.string(), records: v.array(dnsRecord) },
  returns: domains.domainRow,
  handler: async (ctx, { domain, returnPathHost, records }) => {
    if ((await domains.findDomain(ctx, domain)) !== null) throw refusal("domain.exists");
    await domains.addDomain(ctx, {
      domain,
      organizationId: defaultOrganization,
      returnPathHost,
      state: "preparing",
      createdAt: Date.now(),
      records,
      keys: [],
    });
    return domains.domainView(await domains.requireDomain(ctx, domain));
  },
});

/** False if there was no such domain. */
export const removeDomain = gatewayMutation({
  args: { domain: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { domain }) => {
    const row = await domains.findDomain(ctx, domain);
    if (row !== null) await domains.removeDomain(ctx, row);
    return row !== null;
  },
});

/**
 * Asks for next keys of a domain, which the mta makes; harmless while a rotation is under way. They take over with the look
 * at DNS that finds all of them. Fails with `domain.unknown`.
 */
export const rotateDomainKeys = gatewayMutation({
  args: { domain: v.string() },
  returns: domains.domainRow,
  handler: async (ctx, { domain }) => {
    await domains.startRotation(ctx, await domains.requireDomain(ctx, domain), Date.now());
    return domains.domainView(await domains.requireDomain(ctx, domain));
  },
});

/** Stores what a look at DNS found. Fails with `domain.unknown`. */
export const recordDnsCheck = gatewayMutation({
  args: { domain: v.string(), records: v.array(dnsRecord), state: domainState, checkedAt: v.number() },
  returns: domains.domainRow,
  handler: async (ctx, { domain, records, state, checkedAt }) => {
    const row = await domains.requireDomain(ctx, domain);
    // A check that began earlier knows less than one that began later.
    if (row.checkedAt === undefined || row.checkedAt <= checkedAt)
      await domains.updateDomain(ctx, row, afterLook(row, { records, state, checkedAt }));
    return domains.domainView(await domains.requireDomain(ctx, domain));
  },
});

export const listInboxes = gatewayQuery({
  args: {},
  returns: v.array(inboxes.inboxRow),
  handler: async (ctx) => await inboxes.listInboxes(ctx),
});

/**
 * Takes mail for `support@example.com` or `*@example.com` (in lower case) from now on; harmless if it is there. Fails with
 * `domain.unknown` where the domain is not ours.
 */
export const addInbox = gatewayMutation({
  args: { pattern: v.string() },
  returns: inboxes.inboxRow,
  handler: async (ctx, { pattern }) => {
    const at = pattern.lastIndexOf("@");
    if (at < 1 || pattern !== pattern.toLowerCase())
      throw refusal("request.invalid", "a pattern is name@domain or *@domain in lower case");
    await domains.requireDomain(ctx, pattern.slice(at + 1));
    const present = await inboxes.findInbox(ctx, pattern);
    if (present !== null) return inboxes.inboxView(present);
    const count = (await inboxes.listInboxes(ctx)).length;
    if (count >= inboxes.inboxesMax)
      throw refusal(
        "request.invalid",
        `at most ${inboxes.inboxesMax} inboxes; use *@domain for a whole domain`,
      );
    const inbox = { pattern, organizationId: defaultOrganization, since: Date.now() };
    await inboxes.addInbox(ctx, inbox);
    return inboxes.inboxView(inbox);
  },
});

/** False if there was no such inbox. */
export const removeInbox = gatewayMutation({
  args: { pattern: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { pattern }) => {
    const row = await inboxes.findInbox(ctx, pattern);
    if (row !== null) await inboxes.removeInbox(ctx, row);
    return row !== null;
  },
});

export const listApiKeys = gatewayQuery({
  args: {},
  returns: v.array(apiKeys.apiKeyRow),
  handler: async (ctx) => await apiKeys.listApiKeys(ctx),
});

/** `hash` is the sha256 in hex of the whole secret. Repeating it with the same id changes nothing. */
export const addApiKey = gatewayMutation({
  args: {
    apiKeyId: v.string(),
    name: v.string(),
    prefix: v.string(),
    hash: v.string(),
    scopes: v.array(scope),
  },
  returns: apiKeys.apiKeyRow,
  handler: async (ctx, { apiKeyId, name, prefix, hash, scopes }) => {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw refusal("request.invalid", "hash must be a sha256 in hex");
    const present = await apiKeys.findApiKey(ctx, apiKeyId);
    if (present !== null) return apiKeys.apiKeyView(present);
    const apiKey = {
      apiKeyId,
      organizationId: defaultOrganization,
      name,
      prefix,
      hash,
      scopes,
      createdAt: Date.now(),
    };
    await apiKeys.addApiKey(ctx, apiKey);
    return apiKeys.apiKeyView(apiKey);
  },
});

/** False if there was no such key. */
export const removeApiKey = gatewayMutation({
  args: { apiKeyId: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { apiKeyId }) => {
    const row = await apiKeys.findApiKey(ctx, apiKeyId);
    if (row !== null) await apiKeys.removeApiKey(ctx, row);
    return row !== null;
  },
});

/** Notes that a key was used; the latest time stays. A key that is gone is left alone. */
export const touchApiKey = gatewayMutation({
  args: { apiKeyId: v.string(), at: v.number() },
  returns: v.null(),
  handler: async (ctx, { apiKeyId, at }) => {
    const row = await apiKeys.findApiKey(ctx, apiKeyId);
    if (row !== null && (row.lastUsedAt ?? 0) < at) await ctx.db.patch(row._id, { lastUsedAt: at });
    return null;
  },
});
