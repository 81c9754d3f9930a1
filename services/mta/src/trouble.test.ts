import { expect, test } from "bun:test";
import { type PhraseKind, readPhrases } from "@tyto/contracts";
import {
  hungUp,
  openingTrouble,
  type SmtpError,
  sessionTrouble,
  type Trouble,
  unauthenticated,
  unreachable,
  untrusted,
} from "./trouble.ts";

const endpoint = { name: "mx.example.net", ip: "2001:db8::25", port: 25 };
const fault = (more: Partial<SmtpError>): SmtpError => Object.assign(new Error("it broke: at once"), more);
const late = { isBodyStarted: true, isBodyEnded: true };
const early = { isBodyStarted: false, isBodyEnded: false };

test.each<[PhraseKind, Trouble]>([
  [
    "session.plain",
    openingTrouble(fault({ command: "STARTTLS", response: "502 5.5.1 what?" }), endpoint, false),
  ],
  ["session.no-tls", openingTrouble(fault({ code: "ETLS" }), endpoint, false)],
  ["session.takes-none", openingTrouble(fault({ response: "421 4.3.2 later" }), endpoint, false)],
  ["session.not-begun", openingTrouble(fault({ code: "ETIMEDOUT" }), endpoint, false)],
  ["session.failed", sessionTrouble(endpoint, early, { why: "timed out (DATA)" })],
  ["session.failed-late", sessionTrouble(endpoint, late, { why: "timed out, after 10 min" })],
  ["session.closed", hungUp(endpoint)],
  ["session.untrusted", untrusted(endpoint, "its certificate is for others; it names mx.example.org")],
  ["session.unauthenticated", unauthenticated(endpoint, "535 no")],
  ["session.unreachable", unreachable(endpoint, "connection refused")],
])("%s is told so that pages read it back, with whom it was about", (kind, { explanation }) => {
  expect(readPhrases(explanation)).toMatchObject({
    kind,
    values: { name: { text: "mx.example.net" }, ip: { text: "2001:db8::25" } },
  });
});
