/** The process that `snapshot.ts` starts: copies a database as of one moment, and proves that the copy is whole. */
import { Database } from "bun:sqlite";

const [source = "", target = ""] = process.argv.slice(2);
const database = new Database(source, { readonly: true });
database.run("PRAGMA busy_timeout = 10000");
database.query("VACUUM INTO ?").run(target);
database.close();

const copy = new Database(target, { readonly: true });
const { quick_check: verdict } = copy.query("PRAGMA quick_check(1)").get() as { quick_check: string };
copy.close();
if (verdict !== "ok") throw new Error(`The copy is damaged: ${verdict}`);
