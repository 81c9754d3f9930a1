/** The process that runs functions and owns the database; `main.ts` starts it, watches it and owns the public ports. */
import { collectGarbage } from "@tyto/service/garbage";
import { loadConfig, loadFromDoor } from "./config.ts";
import { startConvexLocal } from "./index.ts";
import { log } from "./log.ts";
import { openBoard } from "./watchdog/board.ts";
import { guardWith } from "./watchdog/guard.ts";
import { dieWithParent } from "./watchdog/parent.ts";
import { Refusals } from "./watchdog/refusals.ts";

const BEAT_MS = 100;

try {
  dieWithParent();
} catch (error) {
  log("engine.outlives-its-parent", { error });
}
const { apiSocket, siteSocket, field, boardFile, refusals } = loadFromDoor();
const board = openBoard(boardFile, { isLast: true });
const tell = (event: "ready" | "deployed") => process.send?.({ event });
const guard = guardWith(board, new Refusals(refusals), () => tell("deployed"));
setInterval(() => board.beat(), BEAT_MS);

// A promise that a function forgot must not take the store down with it.
process.on("unhandledRejection", (error) => log("function.unhandled-rejection", { error }));
// A terminal sends these to both processes; this one stops when the other says so.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
collectGarbage();

const convex = await startConvexLocal({
  ...loadConfig(),
  behind: { apiSocket, siteSocket, field, guard },
  log,
});
let isStopping = false;
const stop = () => {
  if (isStopping) return;
  isStopping = true;
  convex.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      log("convex.stop-failed", { error });
      process.exit(1);
    },
  );
};
process.on("message", (message) => {
  if (message === "stop") stop();
});
process.on("disconnect", stop);
tell("ready");
