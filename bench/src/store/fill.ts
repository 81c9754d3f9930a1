/**
 * `bun fill.ts DATA_DIR COUNT`: puts documents into the data directory of an engine that is not running, through the
 * engine's own store, in large transactions and without fsync.
 */
import { ROOT } from "@tyto/convex-local/src/components/component.ts";
import { Transaction } from "@tyto/convex-local/src/functions/transaction.ts";
import { openDatabase } from "@tyto/convex-local/src/store/database.ts";
import { Store } from "@tyto/convex-local/src/store/store.ts";
import { item } from "./items.ts";

const perTransaction = 5_000;
const [dataDir = "", count = "0"] = process.argv.slice(2);
const store = new Store(openDatabase(dataDir, "OFF"), Date.now());
const table = store.table(ROOT, "items");
if (table === undefined) throw new Error("the app is not deployed there");
for (let done = 0; done < Number(count); ) {
  const transaction = new Transaction(store, () => null, Date.now());
  for (const end = Math.min(done + perTransaction, Number(count)); done < end; done++)
    transaction.insertInto(table, ROOT, item(done));
  transaction.commit(Date.now());
}
store.close();
