/** What questions and answers look like on their way. */
import { type ControlName, type ErrorCode, errors, Failure, type Issue } from "@tyto/contracts";
import { encode } from "../requests.ts";

/** What is said to one who asks: that there is somebody, and then an answer or a failure. */
export const kinds = { heard: "heard", answer: "answer", failure: "failure" } as const;
export type Kind = (typeof kinds)[keyof typeof kinds];
export const headers = { kind: "Tyto-Control", process: "Tyto-Process", again: "Tyto-Again" } as const;

export const requestBytesMax = 262_144;
export const answerBytesMax = 917_504;

const answerSubject = /^ctl\.answer\.[\w-]{1,40}\.[\w-]{1,40}$/;
/** The one who asks names where the answer goes; anything but an answer there would be said in our name. */
export const isAnswerSubject = (reply: string | undefined): reply is string =>
  reply !== undefined && answerSubject.test(reply);

export const noData = new Uint8Array();

/** A Failure on its way to whoever asked: what the public may read, and the code. */
export const failureData = ({ code, message, hint, issues }: Failure): Uint8Array =>
  encode({
    code,
    message: message.slice(0, 500),
    ...(hint === undefined ? {} : { hint: hint.slice(0, 500) }),
    ...(issues.length === 0 ? {} : { issues: issues.slice(0, issuesMax).map(shortIssue) }),
  });

const issuesMax = 20;
const shortIssue = ({ path, problem }: Issue): Issue => ({
  path: path.slice(0, 200),
  problem: problem.slice(0, 500),
});

const decoder = new TextDecoder();
const isCode = (code: string | undefined): code is ErrorCode =>
  code !== undefined && Object.hasOwn(errors, code);

export function toldFailure(data: Uint8Array): Failure {
  const told = JSON.parse(decoder.decode(data)) as Told;
  return new Failure(isCode(told.code) ? told.code : "internal", told.message ?? "it failed there", {
    ...(told.hint === undefined ? {} : { hint: told.hint }),
    ...(told.issues === undefined ? {} : { issues: told.issues }),
  });
}
type Told = { code?: string; message?: string; hint?: string; issues?: Issue[] };

export const nobodyRuns = (control: ControlName) =>
  new Failure("upstream.down", `no process answers ${control}`, { hint: "No mta is running" });
