import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { userQuery } from "./functions.ts";
import {
  getMessage,
  messageDetail,
  messageFilter,
  messageRow,
  pageOfMessages,
  pageOfSearch,
} from "./model/messages.ts";

/** Messages by any filter, newest first; `search`: what a person typed (model/search.ts), beside the filter. */
export const list = userQuery({
  args: { ...messageFilter, search: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(messageRow),
  handler: async (ctx, { paginationOpts, search, ...filter }) =>
    search === undefined
      ? await pageOfMessages(ctx, filter, paginationOpts)
      : await pageOfSearch(ctx, filter, search, paginationOpts),
});

/** One message with its recipients and its timeline, oldest event first; null if it is not known. */
export const get = userQuery({
  args: { messageId: v.string() },
  returns: nullable(messageDetail),
  handler: async (ctx, { messageId }) => await getMessage(ctx, messageId),
});
