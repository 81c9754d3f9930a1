/** `bun convex-test.ts COUNT CALLERS`: the same functions in convex-test, which keeps everything in memory. Prints one line of JSON. */

import { makeFunctionReference } from "convex/server";
import { convexTest } from "convex-test";
import schema from "../../store/convex/schema.ts";
import { events, item, owners } from "./items.ts";
import { load } from "./load.ts";

const [count = "2000", callers = "16"] = process.argv.slice(2);
const test = convexTest(schema, {
  "./items.ts": () => import("../../store/convex/items.ts"),
  "./_generated/api.js": async () => ({}),
});
const add = makeFunctionReference<"mutation">("items:add");
const top = makeFunctionReference<"query">("items:top");
const applyEvents = makeFunctionReference<"mutation">("items:applyEvents");

const mutations = await load(Number(count), Number(callers), (index) => test.mutation(add, item(index)));
const queries = await load(Math.ceil(Number(count) / 4), Number(callers), (index) =>
  test.query(top, { owner: `owner${index % owners}` }),
);
const batches = await load(3, 1, (batch) => test.mutation(applyEvents, { events: events(batch) }));
process.stdout.write(
  `${JSON.stringify({ documents: Number(count), mutations: mutations.perS, queries: queries.perS, eventsPerS: batches.perS * 200 })}\n`,
);
