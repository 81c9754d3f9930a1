import type { Rule } from "./rule.ts";

/** A server on the way tried for its whole time and gave up. What kept it from delivering is often said beside it. */
export const expired: Rule = {
  reason: "expired",
  statuses: ["4.7", "4.300"],
  sure: [
    /\bqueue\.expired\b|\b(retry (timeout|time) exceeded|delivery (time )?(expired|timed out)|message (has )?expired|queue (life)?time (expired|exceeded)|retry limit (exceeded|reached))\b/,
    /\b(too (old|long) in (the )?queue|been in the queue too long|on the queue for (too long|more than)|in my queue too long|message (is )?too old)\b/,
    /\b(could|can|has) not be(en)? delivered (for|in|within|after) .{0,30}(days?|hours?|time|weeks?)\b|\bunable to deliver .{0,30}within .{0,20}(days|hours)\b/,
    /\bgiving up\b.{0,40}\b(time|long|days|hours|tries|attempts)\b|\bdelivery attempts? .{0,30}(exhausted|exceeded)\b|\bexpired\b.{0,20}\bmessage\b/,
    /\bmaximum (delivery|retry|queue) (time|period|attempts|lifetime)\b/,
    /\b(message|envelope) (has )?expired\b|\bretry time(out)? exceeded\b|\bdelivery retry timeout\b|\bnot delivered within\b|\bcould not be delivered (for|within) .{0,20}(day|hour|minute)|\b(has|have) been in (the |my |our )?queue (too|for)\b|\bqueue (for )?too long\b|\bin (the )?queue too long\b|\bno longer (be )?(retried|trying)\b|\bdelivery time(d)? ?(out|expired)|\b(retries|attempts|tries) (exhausted|exceeded|expired)|\btoo old\b.{0,30}|\bnach .{0,20}(tagen|stunden)\b.{0,30}(aufgegeben|nicht zugestellt)|\bcannot send message (within|for)\b|\bdelivery (has been |was )?(abandoned|cancel+ed)|期限.{0,8}(切れ|超過)/,
  ],
};
