/**
 * The public API as a whole, and its description. The description is kept as openapi.json in this service's folder, so that
 * a change of the API shows in a review; `bun run codegen` writes it.
 */
import { type ApiKeyRecord, limits } from "@tyto/contracts";
import { type Api, type GuardPorts, newApi } from "./api.ts";
import type { Domains } from "./domains.ts";
import type { Mirror } from "./mirror.ts";
import { createOperation, type Operation } from "./operation/operation.ts";
import { actOnQueue } from "./routes/act-on-queue.ts";
import { addDomain } from "./routes/add-domain.ts";
import { addInbox } from "./routes/add-inbox.ts";
import { addSuppression } from "./routes/add-suppression.ts";
import { type CancelPorts, cancelEmail } from "./routes/cancel-email.ts";
import { checkDomain } from "./routes/check-domain.ts";
import { createApiKey } from "./routes/create-api-key.ts";
import { getDomain } from "./routes/get-domain.ts";
import { getEmail } from "./routes/get-email.ts";
import { getQueue } from "./routes/get-queue.ts";
import { holds } from "./routes/holds.ts";
import { listApiKeys } from "./routes/list-api-keys.ts";
import { listDomains } from "./routes/list-domains.ts";
import { listEmails } from "./routes/list-emails.ts";
import { listInboxes } from "./routes/list-inboxes.ts";
import { listPools } from "./routes/list-pools.ts";
import { listSuppressions } from "./routes/list-suppressions.ts";
import { removeApiKey } from "./routes/remove-api-key.ts";
import { removeDomain } from "./routes/remove-domain.ts";
import { removeInbox } from "./routes/remove-inbox.ts";
import { removeSuppression } from "./routes/remove-suppression.ts";
import { rotateKeys } from "./routes/rotate-keys.ts";
import { rules } from "./routes/rules.ts";
import { sendBatch } from "./routes/send-batch.ts";
import { sendEmail } from "./routes/send-email.ts";
import { sites } from "./routes/sites.ts";
import { traceSite } from "./routes/trace-site.ts";
import { createStore, type Store } from "./store.ts";
import type { SubmissionPorts } from "./submission.ts";
import type { Suppressions } from "./suppressions.ts";

export type PublicPorts = {
  guards: GuardPorts;
  submission: SubmissionPorts;
  emails: CancelPorts;
  store: Store;
  suppressions: Suppressions;
  domains: Domains;
  apiKeys: Mirror<ApiKeyRecord>;
  operation: Operation;
};

/** Puts every route of /v1 on the app. */
export function publicRoutes(api: Api, ports: PublicPorts): void {
  const { guards, submission, emails, store, suppressions, domains, apiKeys, operation } = ports;
  sendEmail(api, guards, submission);
  sendBatch(api, guards, submission);
  listEmails(api, guards, store);
  getEmail(api, guards, emails);
  cancelEmail(api, guards, emails);
  listSuppressions(api, guards, store);
  addSuppression(api, guards, suppressions);
  removeSuppression(api, guards, suppressions);
  listDomains(api, guards, domains);
  addDomain(api, guards, domains);
  getDomain(api, guards, domains);
  checkDomain(api, guards, domains);
  rotateKeys(api, guards, domains);
  removeDomain(api, guards, domains);
  listInboxes(api, guards, store);
  addInbox(api, guards, store);
  removeInbox(api, guards, store);
  listApiKeys(api, guards, store);
  createApiKey(api, guards, { store, mirror: apiKeys });
  removeApiKey(api, guards, { store, mirror: apiKeys });
  getQueue(api, guards, operation);
  actOnQueue(api, guards, operation);
  holds(api, guards, operation);
  sites(api, guards, operation);
  traceSite(api, guards, operation);
  listPools(api, guards, operation);
  rules(api, guards, operation);
}

const description = `
Send mail and see what became of it.

**Authentication.** \`Authorization: Bearer tyto_…\`. Keys have scopes: \`emails:send\`, \`emails:read\`, \`suppressions:write\`,
\`domains:write\` and \`admin\`, which holds all of them.

**Errors** are \`application/problem+json\` (RFC 9457) with a stable \`code\`. \`429\` and \`503\` carry \`Retry-After\`. Every
answer carries \`X-Request-Id\`.

**Repeating.** With an \`Idempotency-Key\` a send can be repeated after any error, also one of the network, and is sent once.

**Limits.** ${limits.recipientsMax} recipients over to, cc and bcc; ${limits.attachmentsMax} attachments of
${mebibytes(limits.attachmentBytesMax)} each; a composed message of ${mebibytes(limits.messageBytesMax)}; a request of
${mebibytes(limits.requestBytesMax)}; ${limits.batchMessagesMax} messages and ${mebibytes(limits.batchBytesMax)} in a batch;
${limits.headersMax} custom headers, ${limits.tagsMax} tags, ${limits.metadataKeysMax} metadata keys;
${limits.scheduleDaysMax} days ahead for \`scheduled_at\`; ${limits.expiryDays} days until Tyto gives up on a recipient.
Requests per second and key are limited too: \`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` (seconds since
1970) tell where you stand.
`.trim();

function mebibytes(bytes: number): string {
  return `${bytes / 1_048_576} MiB`;
}

/** OpenAPI 3.1 as text. */
export function describeApi(api: Api): string {
  api.openAPIRegistry.registerComponent("securitySchemes", "apiKey", {
    type: "http",
    scheme: "bearer",
    description: "An API key, made in the dashboard or by POST /v1/api-keys",
  });
  const document = api.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Tyto",
      version: "1.0.0",
      description,
      license: { name: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "Emails", description: "Send messages and follow them" },
      { name: "Suppressions", description: "Addresses that get no mail" },
      { name: "Domains", description: "Domains that mail is sent from" },
      { name: "Inboxes", description: "Addresses that mail is taken for, besides return paths" },
      { name: "API keys" },
      { name: "Queue", description: "What waits to be sent, and what an operator does about it" },
      { name: "Sites", description: "Where mail goes: mail servers, limits, replies" },
      { name: "Pools", description: "Where mail is sent from" },
      { name: "Rules", description: "What Tyto does by itself about what receivers answer" },
    ],
  });
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** The description without a running gateway: the routes are built and none is called. */
export function describePublicApi(): string {
  const uncalled = (): never => {
    throw new Error("a described route was called");
  };
  const api = newApi();
  publicRoutes(api, {
    guards: {
      callers: { ofKey: uncalled, ofCookies: uncalled, isOwnOrigin: uncalled },
      rateLimit: uncalled,
      onCaller: uncalled,
    },
    submission: {
      verpKey: "",
      siteUrl: "",
      bulkRules: "refuse",
      findDomain: uncalled,
      isSuppressed: uncalled,
      putBody: uncalled,
      putBodies: uncalled,
      publishAll: uncalled,
      publish: uncalled,
      now: uncalled,
      idempotency: { begin: uncalled },
      recent: { add: uncalled },
      refuseWithoutRoom: uncalled,
      count: uncalled,
    },
    emails: {
      store: { findEmail: uncalled },
      recent: { find: uncalled },
      claims: { create: uncalled, get: uncalled },
      publish: uncalled,
      now: uncalled,
    },
    store: createStore({ query: uncalled, mutation: uncalled }),
    suppressions: { has: uncalled, add: uncalled, remove: uncalled },
    domains: {
      list: uncalled,
      get: uncalled,
      add: uncalled,
      check: uncalled,
      rotate: uncalled,
      remove: uncalled,
      signing: uncalled,
    },
    operation: createOperation({
      control: { ask: uncalled, askAll: uncalled, follow: uncalled },
      now: uncalled,
    }),
    apiKeys: {
      get: uncalled,
      keysWhere: uncalled,
      expect: uncalled,
      waitFor: uncalled,
      stop: uncalled,
    },
  });
  return describeApi(api);
}
