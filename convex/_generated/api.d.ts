/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type * as apiKeys from "../apiKeys.js";
import type * as authStore from "../authStore.js";
import type * as bounces from "../bounces.js";
import type * as breakdownQuery from "../breakdownQuery.js";
import type * as complaints from "../complaints.js";
import type * as counters from "../counters.js";
import type * as crons from "../crons.js";
import type * as dmarc from "../dmarc.js";
import type * as domains from "../domains.js";
import type * as failureQuery from "../failureQuery.js";
import type * as functions from "../functions.js";
import type * as holds from "../holds.js";
import type * as http from "../http.js";
import type * as inbound from "../inbound.js";
import type * as inboxes from "../inboxes.js";
import type * as messages from "../messages.js";
import type * as model_apiKeys from "../model/apiKeys.js";
import type * as model_authRows from "../model/authRows.js";
import type * as model_breakdowns from "../model/breakdowns.js";
import type * as model_changes from "../model/changes.js";
import type * as model_counters from "../model/counters.js";
import type * as model_defined from "../model/defined.js";
import type * as model_deliveriesInHand from "../model/deliveriesInHand.js";
import type * as model_delivery from "../model/delivery.js";
import type * as model_dmarcReports from "../model/dmarcReports.js";
import type * as model_domains from "../model/domains.js";
import type * as model_failures from "../model/failures.js";
import type * as model_holds from "../model/holds.js";
import type * as model_inbound from "../model/inbound.js";
import type * as model_inboxes from "../model/inboxes.js";
import type * as model_issuers from "../model/issuers.js";
import type * as model_message from "../model/message.js";
import type * as model_messageInHand from "../model/messageInHand.js";
import type * as model_messages from "../model/messages.js";
import type * as model_periods from "../model/periods.js";
import type * as model_quarantines from "../model/quarantines.js";
import type * as model_record from "../model/record.js";
import type * as model_replies from "../model/replies.js";
import type * as model_rotation from "../model/rotation.js";
import type * as model_search from "../model/search.js";
import type * as model_shapes from "../model/shapes.js";
import type * as model_signature from "../model/signature.js";
import type * as model_suppressions from "../model/suppressions.js";
import type * as model_timeline from "../model/timeline.js";
import type * as model_tlsReports from "../model/tlsReports.js";
import type * as quarantines from "../quarantines.js";
import type * as record from "../record.js";
import type * as replies from "../replies.js";
import type * as retention from "../retention.js";
import type * as service from "../service.js";
import type * as suppressions from "../suppressions.js";
import type * as sync from "../sync.js";
import type * as tlsReports from "../tlsReports.js";
import type * as unsubscribes from "../unsubscribes.js";

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";

declare const fullApi: ApiFromModules<{
  apiKeys: typeof apiKeys;
  authStore: typeof authStore;
  bounces: typeof bounces;
  breakdownQuery: typeof breakdownQuery;
  complaints: typeof complaints;
  counters: typeof counters;
  crons: typeof crons;
  dmarc: typeof dmarc;
  domains: typeof domains;
  failureQuery: typeof failureQuery;
  functions: typeof functions;
  holds: typeof holds;
  http: typeof http;
  inbound: typeof inbound;
  inboxes: typeof inboxes;
  messages: typeof messages;
  "model/apiKeys": typeof model_apiKeys;
  "model/authRows": typeof model_authRows;
  "model/breakdowns": typeof model_breakdowns;
  "model/changes": typeof model_changes;
  "model/counters": typeof model_counters;
  "model/defined": typeof model_defined;
  "model/deliveriesInHand": typeof model_deliveriesInHand;
  "model/delivery": typeof model_delivery;
  "model/dmarcReports": typeof model_dmarcReports;
  "model/domains": typeof model_domains;
  "model/failures": typeof model_failures;
  "model/holds": typeof model_holds;
  "model/inbound": typeof model_inbound;
  "model/inboxes": typeof model_inboxes;
  "model/issuers": typeof model_issuers;
  "model/message": typeof model_message;
  "model/messageInHand": typeof model_messageInHand;
  "model/messages": typeof model_messages;
  "model/periods": typeof model_periods;
  "model/quarantines": typeof model_quarantines;
  "model/record": typeof model_record;
  "model/replies": typeof model_replies;
  "model/rotation": typeof model_rotation;
  "model/search": typeof model_search;
  "model/shapes": typeof model_shapes;
  "model/signature": typeof model_signature;
  "model/suppressions": typeof model_suppressions;
  "model/timeline": typeof model_timeline;
  "model/tlsReports": typeof model_tlsReports;
  quarantines: typeof quarantines;
  record: typeof record;
  replies: typeof replies;
  retention: typeof retention;
  service: typeof service;
  suppressions: typeof suppressions;
  sync: typeof sync;
  tlsReports: typeof tlsReports;
  unsubscribes: typeof unsubscribes;
}>;

/**
 * A utility for referencing Convex functions in your app's public API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;

/**
 * A utility for referencing Convex functions in your app's internal API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = internal.myModule.myFunction;
 * ```
 */
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;

export declare const components: {};
