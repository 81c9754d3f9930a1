import type { Rule } from "./rule.ts";

/** Their server, their disk, their database: nothing that we could change. */
export const receiverBusy: Rule = {
  reason: "receiver.busy",
  statuses: ["3.0", "3.1", "3.2", "3.5", "4.2.0", "4.2.1", "4.4.0", "4.4.2", "4.4.6", "4.5.0"],
  codes: [421, 432],
  sure: [
    /\b(server|system|service|host|resources?|backend|database|directory|ldap)( \S{1,60})? (is |are )?(currently |temporarily |too )?(busy|unavailable|overloaded|offline|down|not available|congested|load too high|under (heavy )?load)\b/,
    /\b(internal|local|temporary|configuration|system|server|lookup|software|processing|unexpected|queue file write|mail system) (server |lookup |configuration |local |system |authentication )?(error|failure|problem|fault)\b/,
  ],
  // Said beside every other reason too.
  likely: [
    /\btry (again )?later\b|\bplease (re)?try\b|\btemporar(y|ily) (fail|unable|problem|issue|error|deferred|lookup|rejected|unavailable)/,
    /\binsufficient (system )?(storage|resources|memory)\b|\bout of memory\b|\bno space left\b|\bdisk (is )?full\b|\binsufficient queue space\b/,
    /\b(shutting|going) down\b|\bmaintenance\b|\bqueue too long\b|\bload (average|too high)\b|\blost connection\b|\bserver not responding\b/,
    /\bmailbox (is )?(locked|busy)\b|\bunable to (lock|open|write to) (the )?mailbox\b|\bover ?loaded\b/,
    /\bstoredrv\.(deliver|submission)\b.{0,60}\b(exception|server|storage)\b/,
  ],
};
