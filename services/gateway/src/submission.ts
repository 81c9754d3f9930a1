/** One message or a batch on its way through accept.ts, once per Idempotency-Key. */
import {
  type BatchAnswer,
  type BatchResult,
  Failure,
  type IdempotencyRecord,
  type Payload,
  type SendAnswer,
  type SendDecision,
  type SendRefusal,
  SendRequest,
  toFailure,
  toProblem,
} from "@tyto/contracts";
import {
  type AcceptPorts,
  answerOf,
  askedOf,
  decide,
  type Plan,
  planOf,
  store,
  storeAll,
  wrongPlaces,
} from "./accept.ts";
import type { Caller } from "./caller.ts";
import type { Idempotency, Turn } from "./idempotency.ts";
import { invalidRequest } from "./problems.ts";
import type { Recent } from "./recent.ts";
import { refusal } from "./sender-rules/judge.ts";

export type SubmissionPorts = AcceptPorts & {
  /** Makes Message-IDs known as ours. */
  verpKey: string;
  idempotency: Idempotency;
  recent: Pick<Recent, "add">;
  /** Throws Failure `storage.full`. */
  refuseWithoutRoom(): void;
  /** Told of each accepted message and of each item that was refused. */
  count(outcome: "accepted" | "suppressed" | "refused", by?: number): void;
};

/** What makes a repeat of a request known as one. */
export type Repeat = { key: string; bodySha256: string };

/** Messages of a batch that are composed and stored at a time. */
const sideBySideMax = 64;

/** Accepts one message. Throws what decide, store and Idempotency throw; nothing is half done then. */
export async function submitOne(
  ports: SubmissionPorts,
  caller: Caller,
  mail: SendRequest,
  repeat: Repeat | undefined,
): Promise<{ answer: SendAnswer; isReplay: boolean }> {
  const turn = await begin(ports, caller, repeat, async () => {
    const decision = await decide(ports, mail);
    if ("rules" in decision) throw refusal(decision.rules, askedOf(ports, mail));
    return [decision];
  });
  try {
    const [decision] = turn.decisions;
    if (decision === undefined || "failed" in decision)
      throw new Failure("internal", "a single message was reserved without a decision");
    if (!turn.isReplay) {
      await keep(ports, caller, mail, decision, turn);
      await turn.finish(turn.decisions);
    }
    return { answer: answerOf(mail, decision, turn.at), isReplay: turn.isReplay };
  } finally {
    turn.release();
  }
}

/**
 * Accepts those messages of a batch that are in order and tells of the others what is wrong. Throws a failure that may
 * pass later when nothing was accepted, so that the whole batch can be repeated.
 */
export async function submitBatch(
  ports: SubmissionPorts,
  caller: Caller,
  items: readonly unknown[],
  repeat: Repeat | undefined,
): Promise<{ answer: BatchAnswer; isReplay: boolean }> {
  const parsed = items.map((item) => SendRequest.safeParse(item));
  const mails = parsed.map(({ data }) => data);
  const turn = await begin(ports, caller, repeat, () =>
    sideBySide(mails, async (mail): Promise<SendDecision | SendRefusal> => {
      if (mail === undefined) return { failed: "request.invalid" };
      const decision = await decide(ports, mail).catch((error: unknown) =>
        refusalOf(lasting(toFailure(error))),
      );
      return "rules" in decision ? { failed: "bulk.refused", rules: decision.rules ?? [] } : decision;
    }),
  );
  try {
    // What fails for a while only is told, but not kept: a repeat tries it again.
    const passing = new Map<number, Failure>();
    const settled = [...turn.decisions];
    if (!turn.isReplay) {
      const failures = await keepAll(ports, caller, mails, turn);
      for (const [index, failure] of failures)
        if (failure.row.retry) passing.set(index, failure);
        else settled[index] = refusalOf(failure);
    }

    const results = settled.map((decision, index): BatchResult => {
      const failure = passing.get(index);
      const mail = mails[index];
      if (failure !== undefined) return { index, status: "failed", error: problemOf(failure) };
      if (!("failed" in decision) && mail !== undefined)
        return { index, ...answerOf(mail, decision, turn.at) };
      const refused = "failed" in decision ? decision : { failed: "request.invalid" as const };
      return {
        index,
        status: "failed",
        error: problemOf(failureOfItem(ports, refused, parsed[index], turn.at)),
      };
    });
    const failed = results.filter(({ status }) => status === "failed").length;
    const [first] = passing.values();
    if (first !== undefined && failed === results.length) throw first;
    if (!turn.isReplay) ports.count("refused", failed);
    if (!turn.isReplay && passing.size === 0) await turn.finish(settled);
    return { answer: { accepted: results.length - failed, failed, results }, isReplay: turn.isReplay };
  } finally {
    turn.release();
  }
}

async function begin(
  ports: SubmissionPorts,
  caller: Caller,
  repeat: Repeat | undefined,
  decideAll: () => Promise<IdempotencyRecord["decisions"]>,
): Promise<Turn> {
  // What was accepted before is answered on a full disk, too.
  const decideNew = async () => {
    ports.refuseWithoutRoom();
    return await decideAll();
  };
  if (repeat !== undefined) return ports.idempotency.begin({ callerId: caller.id, ...repeat }, decideNew);
  const decisions = await decideNew();
  return {
    decisions,
    at: ports.now(),
    isReplay: false,
    isTakeover: false,
    finish: async () => {},
    release: () => {},
  };
}

async function keep(
  ports: SubmissionPorts,
  caller: Caller,
  mail: SendRequest,
  decision: SendDecision,
  turn: Turn,
): Promise<void> {
  const plan = planFor(ports, caller, mail, decision, turn);
  noteKept(ports, await store(ports, mail, plan), plan);
}

/** Stores what was decided to be sent; gives the failures by their place in the batch. */
async function keepAll(
  ports: SubmissionPorts,
  caller: Caller,
  mails: readonly (SendRequest | undefined)[],
  turn: Turn,
): Promise<Map<number, Failure>> {
  const items = turn.decisions.flatMap((decision, index) => {
    const mail = mails[index];
    if ("failed" in decision || mail === undefined) return [];
    return [{ index, mail, plan: planFor(ports, caller, mail, decision, turn) }];
  });
  const results = await storeAll(ports, items);
  const failures = new Map<number, Failure>();
  for (const [at, { index, plan }] of items.entries()) {
    const result = results[at];
    if (result instanceof Failure) failures.set(index, result);
    else if (result !== undefined) noteKept(ports, result, plan);
  }
  return failures;
}

function planFor(
  { verpKey }: SubmissionPorts,
  caller: Caller,
  mail: SendRequest,
  decision: SendDecision,
  { at, isTakeover }: Turn,
): Plan {
  const plan = planOf(mail, decision, at, caller, verpKey);
  return isTakeover ? { ...plan, accepted: { ...plan.accepted, isRepeat: true } } : plan;
}

function noteKept(ports: SubmissionPorts, accepted: Payload<"mail.accepted">, plan: Plan): void {
  ports.recent.add(accepted, plan.suppressed);
  ports.count("accepted");
  ports.count("suppressed", plan.suppressed.length);
}

/** Runs `run` for each entry, `sideBySideMax` at a time; the results keep the order. */
async function sideBySide<T, R>(
  entries: readonly T[],
  run: (entry: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(entries.length);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < entries.length; index = next++)
      results[index] = await run(entries[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(sideBySideMax, entries.length) }, lane));
  return results;
}

/** A failure that may pass concerns the whole batch: it is thrown on. */
function lasting(failure: Failure): Failure {
  if (failure.row.retry) throw failure;
  return failure;
}

const refusalOf = ({ code, hint }: Failure): SendRefusal => ({
  failed: code,
  ...(hint === undefined ? {} : { hint }),
});

/**
 * The failure of an item as a request of its own would have got it; wrong fields and the words of broken rules are read from
 * the item again.
 */
function failureOfItem(
  ports: AcceptPorts,
  { failed, hint, rules = [] }: SendRefusal,
  parsed: ReturnType<typeof SendRequest.safeParse> | undefined,
  at: number,
): Failure {
  if (failed === "request.invalid" && parsed?.error !== undefined) return invalidRequest(parsed.error);
  if (failed === "bulk.refused" && parsed?.data !== undefined)
    return refusal(rules, askedOf(ports, parsed.data));
  const issues =
    failed === "request.invalid" && parsed?.data !== undefined ? wrongPlaces(parsed.data, at) : [];
  return new Failure(failed, "item of a batch", { issues, ...(hint === undefined ? {} : { hint }) });
}

const problemOf = (failure: Failure) => {
  const { errors, ...problem } = toProblem(failure);
  return { ...problem, ...(errors === undefined ? {} : { errors: [...errors] }) };
};
