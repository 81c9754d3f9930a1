import type { Rule } from "./rule.ts";

/** A command or its arguments were refused as wrong (RFC 5321 §4.2.4, RFC 3463 X.5.x): the servers speak past each other. */
export const protocolError: Rule = {
  reason: "protocol.error",
  statuses: ["5.0", "5.1", "5.4", "5.5"],
  codes: [500, 501, 502, 503, 504, 555],
  sure: [
    /\bsyntax error\b|\b(bad|invalid|unexpected|improper) (sequence of |use of )?(smtp )?commands?\b|\bcommand (not|un)(recogni[sz]ed| implemented| known|known)\b|\bunrecogni[sz]ed (smtp )?command\b/,
    /\b(unknown|unsupported) (smtp )?(command|parameter)\b|\bcommand parameter not (implemented|recogni[sz]ed)\b|\bneed (mail|rcpt) (command|before)\b|\b(rcpt|mail|data) (command )?(expected|first)\b|\bpolite people say (hello|helo)\b|\bprotocol (error|violation)\b/,
    /\bsyntaxe incorrecte\b|\bcommande .{0,30}(inconnue|invalide)/,
  ],
};
