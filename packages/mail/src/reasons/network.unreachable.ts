import type { Rule } from "./rule.ts";

/** Nobody answered, or the connection broke; written by servers on the way into their reports. */
export const networkUnreachable: Rule = {
  reason: "network.unreachable",
  statuses: ["4.1", "4.2", "4.7.5"],
  sure: [
    /\bconnect(ion)? (to \S{1,200} )?(timed? ?out|refused|reset|closed|failed|lost|dropped|terminated|was closed|died)\b/,
    /\bconnect to \S{1,200}: (connection|operation|no route|network|host)/,
    /\b(no route to host|network (is )?(unreachable|down)|host (is )?(unreachable|down)|operation timed out|no answer from host|could not connect|unable to connect|failed to connect|couldn't connect)\b/,
    /\blost connection with\b|\bconversation with \S{1,200}.{0,40}timed out\b|\bbroken pipe\b|\bserver (did not|didn't) (respond|answer)\b/,
    /\bdelivery temporarily suspended\b|\ball (hosts|servers).{0,60}(failing|failed|unreachable|unavailable)\b|\bretry time not reached for any host\b/,
    /\bsmtp (protocol )?(timeout|time-?out)\b|\bresponding timeout\b|\bsocket error\b|\bhost or domain .{0,20}not respond/,
    /\bsorry, i wasn't able to establish an smtp connection\b|\blowest numbered mx record points to\b.{0,40}unreachable/,
    /\bconnection (timed out|timeout|refused|reset|closed|lost|dropped|failed|aborted|terminated|was (closed|dropped|reset|refused|lost)|error|attempt)\b|\bhost (is )?(not reachable|unreachable|not responding|down)\b|\bno route to host\b|\bnetwork (error|unreachable|is unreachable|down|problem|failure)\b|\b(did not|not) (respond|accept our requests to connect|responding)\b/,
    /\b(could not|cannot|couldn't|can't|unable to|failed to|unsuccessful|failure) (connect|reach|contact|establish)\b|\bremote host (is )?not respond|\bnot responding\b|\btimed? ?out (while|waiting|connecting|during|with|by|after)\b|\boperation timed out\b|\btimeout (while|waiting|connecting|during|with|error|on)\b|\bcan't connect\b|\b(socket|tcp|winsock|i\/o) error\b|\bverbindung.{0,40}(abgebrochen|fehlgeschlagen|zeitüberschreitung|abgelehnt)|\bconnexion.{0,30}(refus|expir|impossible)|接続.{0,10}(失敗|でき|タイムアウト)/,
    /(?<!retry )\btime-?out exceeded\b|\ball (mx|mxs|mail exchangers)\b.{0,30}(fail|tried|unreachable)/,
  ],
  // Haraka's word for every domain of which no host took the mail, those without hosts too; its status says 5.1.2 of all.
  likely: [/\btried all mxs\b/],
};
