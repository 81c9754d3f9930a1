/** The builders that an inline query is written with. */
export { internalQueryGeneric as internalQuery, queryGeneric as query } from "convex/server";
