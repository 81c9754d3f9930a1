import type { Rule } from "./rule.ts";

/** Their server, their disk, their database: nothing that we could change. */
export const receiverBusy: Rule = {
  reason: "receiver.busy",
  statuses: ["3.0", "3.1", "3.2", "3.5", "4.2.0", "4.2.1", "4.4.0", "4.4.2", "4.4.6", "4.5.0"],
  codes: [421, 432],
  sure: [
    /\b(server|system|service|host|resources?|backend|database|directory|ldap)( \S{1,60})? (is |are )?(currently |temporarily |too )?(busy|unavailable|overloaded|offline|down|not available|congested|load too high|under (heavy )?load)\b/,
    /\b(internal|local|temporary|configuration|system|server|lookup|software|processing|unexpected|queue file write|mail system) (server |lookup |configuration |local |system |authentication )?(error|failure|problem|fault)\b/,
    /\bno space left on device\b|\bnot enough (disk|storage|system|queue|free) ?(disk |storage )?(space|resources|memory)\b|\binsufficient (disk |system |queue |free )?(space|storage|resources|memory)\b|\bdisk (full|quota on server)|\bfile system (is )?full\b|\bout of (disk|memory|resources|space)\b|\bfilesystem full\b|\bsystem storage\b/,
    /\b(command|program|process|pipe|transport|mailer|filter)\b.{0,60}\b(died|returned|exited|failed|crashed|terminated|ended)\b.{0,30}\b(status|code|signal|\d{1,3})|\bcommand died with (status|signal)\b|\bunknown mailer error\b|\bmailer (error|did not exit)|\bpipe to \||\bprocmail: |\bcommand (failed|output)[: ]|\b(vacation|maildrop|procmail|spamc)\b.{0,40}\b(error|fail|exit|status)|\bcan'?t (create|open|write|lock) (user )?(output )?(file|mailbox|maildir)/,
    /\b(system|mail system|mail server|server|service|local|remote|internal|configuration|config|backend|database|ldap|software|directory|temporary|lookup|alias|queue file) (is )?(misconfigured|(server |system )?(config(uration)?|processing|delivery|software|lookup|database|local|write|read|i\/o)? ?(error|problem|failure|trouble))\b|\binterrupted system call\b|\bservice (currently |temporarily )?(unavailable|not available|offline)\b|\bserver (is )?(currently )?(unavailable|too busy|busy|down|shutting)/,
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
