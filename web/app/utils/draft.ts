import { addressOf, looksLikeAddress, parseMailboxes } from "./mailbox.ts";

/** What the form for a test mail holds, as typed. `scheduledAt` has the form of `<input type="datetime-local">`, in local time. */
export type Draft = {
  fromName: string;
  fromLocal: string;
  fromDomain: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  tags: string[];
  scheduledAt: string;
};

export type DraftField = keyof Draft;

/** The body of `POST /v1/emails`. */
export type SendBody = {
  from: string;
  to: string[];
  subject: string;
  text?: string;
  html?: string;
  tags?: string[];
  scheduled_at?: string;
};

/** The wrong fields with the i18n key of what to do, in the order of the form. The gateway has the last word. */
export function draftProblems(draft: Draft, nowMs: number): { name: DraftField; key: string }[] {
  const problems: { name: DraftField; key: string }[] = [];
  if (draft.fromDomain === "") problems.push({ name: "fromDomain", key: "send.problem.domain" });
  else if (!looksLikeAddress(`${draft.fromLocal}@${draft.fromDomain}`))
    problems.push({ name: "fromLocal", key: "send.problem.from" });
  const to = parseMailboxes(draft.to);
  if (to.length === 0) problems.push({ name: "to", key: "send.problem.toMissing" });
  else if (!to.every((mailbox) => looksLikeAddress(addressOf(mailbox))))
    problems.push({ name: "to", key: "send.problem.to" });
  if (draft.subject.trim() === "") problems.push({ name: "subject", key: "send.problem.subject" });
  if (draft.text.trim() === "" && draft.html.trim() === "")
    problems.push({ name: "text", key: "send.problem.text" });
  if (draft.scheduledAt !== "" && !(Date.parse(draft.scheduledAt) > nowMs))
    problems.push({ name: "scheduledAt", key: "send.problem.past" });
  return problems;
}

export function toSendBody(draft: Draft): SendBody {
  const address = `${draft.fromLocal.trim()}@${draft.fromDomain}`;
  const name = draft.fromName.trim();
  const scheduledMs = Date.parse(draft.scheduledAt);
  return {
    from: name === "" ? address : `${quoteName(name)} <${address}>`,
    to: parseMailboxes(draft.to),
    subject: draft.subject,
    ...(draft.text.trim() === "" ? {} : { text: draft.text }),
    ...(draft.html.trim() === "" ? {} : { html: draft.html }),
    ...(draft.tags.length === 0 ? {} : { tags: draft.tags }),
    ...(Number.isNaN(scheduledMs) ? {} : { scheduled_at: new Date(scheduledMs).toISOString() }),
  };
}

/** A display name in quotes where it holds characters with a meaning of their own (RFC 5322 §3.2.3 specials). */
function quoteName(name: string): string {
  return /[()<>[\]:;@\\,."]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

/** The form's field for a path of the gateway's answer: `to[1]` is `to`, `from` is the local part. */
export function draftFieldOf(path: string): DraftField | undefined {
  const root = /^[a-z_]+/.exec(path)?.[0];
  const fields: Record<string, DraftField> = {
    from: "fromLocal",
    to: "to",
    subject: "subject",
    text: "text",
    html: "html",
    tags: "tags",
    scheduled_at: "scheduledAt",
  };
  return root === undefined ? undefined : fields[root];
}
