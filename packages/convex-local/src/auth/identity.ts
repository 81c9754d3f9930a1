import type { Json } from "../values/wire.ts";

/** What `ctx.auth.getUserIdentity()` gives: known claims in camel case, others as they are. */
export type Identity = { tokenIdentifier: string; issuer: string; subject: string; [claim: string]: Json };
