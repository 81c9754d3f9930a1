import { ANONYMOUS, actingAs, type Caller, type Callers } from "../auth/caller.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { RequestMetadata } from "../functions/frame.ts";
import type { Call, Outcome, QueryOutcome } from "../functions/runner.ts";
import { type FunctionApi, oneObject, type Requester } from "../http/functions.ts";
import { HttpProblem, toProblem } from "../http/problem.ts";
import type { LiveQuery } from "../live/live.ts";
import { decodeTs, encodeTs } from "../values/timestamp.ts";
import type { Json } from "../values/wire.ts";
import { Outbox, type Wire } from "./outbox.ts";
import {
  type AddQuery,
  type ClientMessage,
  ProtocolError,
  parseClientMessage,
  type ServerMessage,
  type StateVersion,
} from "./protocol.ts";
import type { Requests } from "./requests.ts";

const QUERIES_MAX = 4096;
const MUTATIONS_WAITING_MAX = 1000;
const ACTIONS_RUNNING_MAX = 1000;
const MESSAGES_WAITING_MAX = 2000;
const MESSAGES_WAITING_CHARS_MAX = 64 * 1024 * 1024;
/** Longer Transitions are sent in parts, so that other messages and pings need not wait for the whole. */
const TRANSITION_CHUNK_BYTES = 5_000_000;
/** Clients before this take no parts. */
const CHUNKS_SINCE = [1, 28] as const;
const NANOSECONDS_PER_MS = 1e6;
const CLOSE_NORMAL = 1000;
const CLOSE_POLICY = 1008;

/** `sent` is the newest result that the client has. */
type Watched = { live: LiveQuery; onStale: () => void; sent: QueryOutcome | null };

/** How far the client's clock is ahead of ours, in milliseconds; what travelling took makes it seem less. */
type Skew = number | null;

/**
 * One client of the sync protocol. Messages are handled in order; the client learns of new results in
 * Transitions, each of which takes it from one version of the world to a later one.
 */
export class Connection {
  readonly #deployment: Deployment;
  readonly #callers: Callers;
  readonly #functions: FunctionApi;
  readonly #requests: Requests;
  readonly #metadata: RequestMetadata;
  /** The token that the caller's identity comes from. */
  #authToken: string | null = null;
  readonly #wire: Wire;
  readonly #outbox: Outbox;
  readonly #takesChunks: boolean;
  readonly #watched = new Map<number, Watched>();
  #sessionId: string | null = null;
  #clientClockSkewMs: Skew = null;
  #caller: Caller = ANONYMOUS;
  #callerExpiresMs = Number.POSITIVE_INFINITY;
  #version: StateVersion = { querySet: 0, identity: 0, ts: encodeTs(0) };
  #querySetVersion = 0;
  #identityVersion = 0;
  #removed: number[] = [];
  #isDirty = false;
  /** The client waits for a Transition, even if no result has changed. */
  #isAwaited = false;
  #isFlushing = false;
  #isClosed = false;
  #inbox: Promise<void> = Promise.resolve();
  #messagesWaiting = 0;
  #messagesWaitingChars = 0;
  #mutations: Promise<void> = Promise.resolve();
  #mutationsWaiting = 0;
  #actionsRunning = 0;
  /** When something was last sent, for pings; in milliseconds of the real clock. */
  lastSentMs = performance.now();

  constructor(
    deployment: Deployment,
    callers: Callers,
    functions: FunctionApi,
    requests: Requests,
    metadata: RequestMetadata,
    /** Version of the npm package that the client is, as far as it says so. */
    clientVersion: string | null,
    wire: Wire,
  ) {
    this.#deployment = deployment;
    this.#callers = callers;
    this.#functions = functions;
    this.#requests = requests;
    this.#metadata = metadata;
    this.#wire = wire;
    this.#takesChunks = isAtLeast(clientVersion, CHUNKS_SINCE);
    this.#outbox = new Outbox(wire, () => this.#fail(new ProtocolError("The client reads too slowly")));
  }

  /** Takes a message from the client; never throws. */
  receive(text: string): void {
    this.#messagesWaiting++;
    this.#messagesWaitingChars += text.length;
    if (
      this.#messagesWaiting > MESSAGES_WAITING_MAX ||
      this.#messagesWaitingChars > MESSAGES_WAITING_CHARS_MAX
    ) {
      this.#fail(new ProtocolError("Too many messages are waiting"));
      return;
    }
    this.#inbox = this.#inbox
      .then(() => (this.#isClosed ? undefined : this.#handle(parseClientMessage(text))))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#messagesWaiting--;
        this.#messagesWaitingChars -= text.length;
      });
  }

  /** The client has taken bytes: what waited for that goes on. */
  drained(): void {
    this.#outbox.drained();
    this.#flush();
  }

  /** Called now and then: keeps the line alive and notices expired tokens. */
  tick(pingAfterMs: number): void {
    if (this.#isClosed) return;
    if (this.#isExpired()) this.#expire();
    else if (performance.now() - this.lastSentMs >= pingAfterMs) this.#send({ type: "Ping" });
  }

  closed(): void {
    this.#isClosed = true;
    this.#outbox.close();
    for (const { live, onStale } of this.#watched.values()) this.#deployment.live.unwatch(live, onStale);
    this.#watched.clear();
  }

  async #handle(message: ClientMessage): Promise<void> {
    if (message.type === "Connect") {
      this.#connect(message.sessionId, message.maxObservedTimestamp ?? null);
      if (message.clientTs !== undefined) this.#clientClockSkewMs = message.clientTs - this.#deployment.now();
      return;
    }
    if (this.#sessionId === null) throw new ProtocolError(`${message.type} before Connect`);
    switch (message.type) {
      case "ModifyQuerySet":
        this.#modifyQuerySet(message);
        break;
      case "Authenticate":
        await this.#authenticate(message);
        break;
      case "Mutation":
        await this.#outbox.room();
        this.#mutate(message, this.#sessionId);
        break;
      case "Action":
        await this.#outbox.room();
        this.#act(message);
        break;
      case "Event":
        break; // Statistics of the client, for the cloud's own use.
    }
  }

  #connect(sessionId: string, maxObserved: string | null): void {
    if (this.#sessionId !== null) throw new ProtocolError("Connect was sent twice");
    const observed = maxObserved === null ? 0 : decodeTs(maxObserved);
    if (observed === null) throw new ProtocolError("maxObservedTimestamp is malformed");
    if (observed > this.#deployment.store.ts) {
      // It has seen data that is not here: this is another database under the same address.
      throw new ProtocolError("The client has observed a timestamp that is in the future of this deployment");
    }
    this.#sessionId = sessionId;
  }

  #modifyQuerySet({
    baseVersion,
    newVersion,
    modifications,
  }: ClientMessage & { type: "ModifyQuerySet" }): void {
    if (baseVersion !== this.#querySetVersion || newVersion <= baseVersion) {
      throw new ProtocolError(`Query set version is ${this.#querySetVersion}, not ${baseVersion}`);
    }
    this.#querySetVersion = newVersion;
    for (const modification of modifications) {
      if (modification.type === "Add") this.#add(modification);
      else this.#remove(modification.queryId);
    }
    this.#wantTransition();
  }

  #add(query: AddQuery): void {
    if (this.#watched.has(query.queryId)) throw new ProtocolError(`Query ${query.queryId} exists already`);
    if (this.#watched.size >= QUERIES_MAX) throw new ProtocolError(`More than ${QUERIES_MAX} queries`);
    const call = this.#call(query.udfPath, query.args, query.componentPath ?? null);
    this.#watch(query.queryId, call, query.journal ?? null, null);
  }

  #watch(queryId: number, call: Call, journal: string | null, sent: QueryOutcome | null): void {
    const onStale = () => this.#markDirty();
    this.#watched.set(queryId, { live: this.#deployment.live.watch(call, journal, onStale), onStale, sent });
  }

  #remove(queryId: number): void {
    const watched = this.#watched.get(queryId);
    if (watched === undefined) throw new ProtocolError(`Query ${queryId} does not exist`);
    this.#deployment.live.unwatch(watched.live, watched.onStale);
    this.#watched.delete(queryId);
    this.#removed.push(queryId);
  }

  async #authenticate(message: ClientMessage & { type: "Authenticate" }): Promise<void> {
    if (message.baseVersion !== this.#identityVersion) {
      throw new ProtocolError(`Identity version is ${this.#identityVersion}, not ${message.baseVersion}`);
    }
    try {
      await this.#setCaller(message);
    } catch (error) {
      const problem = toProblem(error);
      if (problem === undefined) throw error;
      this.#refuse(problem.message, message.baseVersion, true);
      return;
    }
    this.#identityVersion++;
    // What a query sees depends on who asks: watch the same queries as the new caller.
    const { identity, isAdmin } = this.#caller;
    for (const [queryId, { live, onStale, sent }] of [...this.#watched]) {
      const call: Call = { ...live.call, identity, access: isAdmin ? "any" : "public" };
      this.#watch(queryId, call, live.journal, sent);
      // Only now: the same user with a fresh token goes on with the result that is there.
      this.#deployment.live.unwatch(live, onStale);
    }
    this.#wantTransition();
  }

  async #setCaller(message: ClientMessage & { type: "Authenticate" }): Promise<void> {
    this.#callerExpiresMs = Number.POSITIVE_INFINITY;
    this.#authToken = null;
    switch (message.tokenType) {
      case "None":
        this.#caller = ANONYMOUS;
        break;
      case "User": {
        const { identity, expiresMs } = await this.#deployment.tokens.verify(message.value);
        this.#caller = { isAdmin: false, identity };
        this.#authToken = message.value;
        this.#callerExpiresMs = expiresMs;
        break;
      }
      case "Admin": {
        if (!this.#callers.isAdminKey(message.value)) {
          throw new HttpProblem(403, "BadAdminKey", "The provided admin key is not valid");
        }
        const { impersonating } = message;
        const identity =
          impersonating === undefined || impersonating === null ? null : actingAs(impersonating);
        this.#caller = { isAdmin: true, identity };
        break;
      }
    }
  }

  /** Mutations of one client run one after another, in the order in which it sent them. */
  #mutate(
    { requestId, udfPath, args, componentPath }: ClientMessage & { type: "Mutation" },
    sessionId: string,
  ): void {
    if (++this.#mutationsWaiting > MUTATIONS_WAITING_MAX)
      throw new ProtocolError("Too many mutations are waiting");
    if (this.#isExpired()) {
      this.#expire();
      return;
    }
    const call = this.#call(udfPath, args, componentPath ?? null);
    const requester = this.#requester();
    this.#mutations = this.#mutations
      .then(() => this.#runMutation(call, requester, requestId, sessionId))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#mutationsWaiting--);
  }

  async #runMutation(call: Call, requester: Requester, requestId: number, sessionId: string): Promise<void> {
    const { executor, runner, store, now } = this.#deployment;
    const arrivedTs = store.ts;
    const answer = await executor.join(async (): Promise<ServerMessage> => {
      const known = this.#requests.find(sessionId, requestId);
      if (known !== undefined) {
        const ts = encodeTs(known.ts);
        return {
          type: "MutationResponse",
          requestId,
          success: true,
          result: JSON.parse(known.value),
          ts,
          logLines: [],
        };
      }
      const outcome = await runner.mutationNow({ ...call, arrivedTs }, (transaction, value) => {
        // Without writes there is nothing to do twice.
        if (transaction.hasWritten) this.#requests.record(sessionId, requestId, value, store.ts, now());
      });
      if (!outcome.isSuccess)
        return { type: "MutationResponse", requestId, ...this.#failure(outcome, requester) };
      const logLines = this.#functions.logLines(outcome, requester);
      const result = JSON.parse(outcome.value) as Json;
      return {
        type: "MutationResponse",
        requestId,
        success: true,
        result,
        ts: encodeTs(outcome.ts),
        logLines,
      };
    });
    this.#send(answer);
    this.#wantTransition();
  }

  #act({ requestId, udfPath, args, componentPath }: ClientMessage & { type: "Action" }): void {
    if (this.#isExpired()) {
      this.#expire();
      return;
    }
    if (++this.#actionsRunning > ACTIONS_RUNNING_MAX) throw new ProtocolError("Too many actions are running");
    const requester = this.#requester();
    this.#deployment.runner
      .action(this.#call(udfPath, args, componentPath ?? null))
      .then((outcome) => {
        if (!outcome.isSuccess) {
          this.#send({ type: "ActionResponse", requestId, ...this.#failure(outcome, requester) });
          return;
        }
        const logLines = this.#functions.logLines(outcome, requester);
        const result = JSON.parse(outcome.value) as Json;
        this.#send({ type: "ActionResponse", requestId, success: true, result, logLines });
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#actionsRunning--);
  }

  #failure(outcome: Outcome & { isSuccess: false }, requester: Requester) {
    const { data } = outcome.failure;
    return {
      success: false as const,
      result: this.#functions.describeFailure(outcome, requester),
      ...(data === undefined ? {} : { errorData: data }),
      logLines: this.#functions.logLines(outcome, requester),
    };
  }

  #call(path: string, args: Json[], componentPath: string | null): Call {
    if (componentPath !== null && componentPath !== ROOT && !this.#caller.isAdmin) {
      throw new ProtocolError("Only an admin can call functions of components");
    }
    return {
      component: componentPath ?? ROOT,
      target: path,
      args: oneObject(args),
      identity: this.#caller.identity,
      metadata: this.#requestMetadata(),
      access: this.#caller.isAdmin ? "any" : "public",
    };
  }

  #requester(): Requester {
    return { caller: this.#caller, metadata: this.#requestMetadata() };
  }

  #requestMetadata(): RequestMetadata {
    return { ...this.#metadata, authToken: this.#authToken };
  }

  #wantTransition(): void {
    this.#isAwaited = true;
    this.#markDirty();
  }

  #markDirty(): void {
    this.#isDirty = true;
    this.#flush();
  }

  /** Sends Transitions until the client is up to date; one at a time, and only as fast as it takes them. */
  #flush(): void {
    if (this.#isFlushing || !this.#isDirty || this.#isClosed) return;
    // One Transition may be on its way and one with the client; drained() comes back for the next.
    if (!this.#outbox.isClear()) return;
    if (this.#isExpired()) {
      this.#expire();
      return;
    }
    this.#isFlushing = true;
    this.#transition()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#isFlushing = false;
        this.#flush();
      });
  }

  /** Runs every stale query at one moment, and tells the client what has changed since the last Transition. */
  async #transition(): Promise<void> {
    const { executor, live, store, now } = this.#deployment;
    const text = await executor.run(async () => {
      this.#isDirty = false;
      const isAwaited = this.#isAwaited;
      this.#isAwaited = false;
      const endVersion: StateVersion = {
        querySet: this.#querySetVersion,
        identity: this.#identityVersion,
        ts: encodeTs(store.ts),
      };
      const modifications = this.#removed.map((queryId) => JSON.stringify({ type: "QueryRemoved", queryId }));
      this.#removed = [];
      for (const [queryId, watched] of [...this.#watched]) {
        const outcome = await live.refresh(watched.live);
        if (watched.sent !== null && isSameResult(outcome, watched.sent)) continue;
        watched.sent = outcome;
        modifications.push(this.#modification(queryId, outcome));
      }
      if (!isAwaited && modifications.length === 0) return undefined;
      const startVersion = this.#version;
      this.#version = endVersion;
      const head = JSON.stringify({
        type: "Transition",
        startVersion,
        endVersion,
        ...(this.#clientClockSkewMs === null ? {} : { clientClockSkew: this.#clientClockSkewMs }),
        serverTs: now() * NANOSECONDS_PER_MS,
      });
      return `${head.slice(0, -1)},"modifications":[${modifications.join(",")}]}`;
    });
    if (text !== undefined) this.#sendTransition(text);
  }

  /** JSON text of a modification; the value is JSON text already, often a long one. */
  #modification(queryId: number, outcome: QueryOutcome): string {
    const { journal } = outcome;
    const requester = this.#requester();
    const logLines = this.#functions.logLines(outcome, requester);
    if (outcome.isSuccess) {
      const head = JSON.stringify({ type: "QueryUpdated", queryId, logLines, journal });
      return `${head.slice(0, -1)},"value":${outcome.value}}`;
    }
    const { data } = outcome.failure;
    const errorMessage = this.#functions.describeFailure(outcome, requester);
    return JSON.stringify({
      type: "QueryFailed",
      queryId,
      errorMessage,
      ...(data === undefined ? {} : { errorData: data }),
      logLines,
      journal,
    });
  }

  #sendTransition(text: string): void {
    // A character of text is at most three bytes of UTF-8: most texts need not be counted.
    const isShort = text.length * 3 <= TRANSITION_CHUNK_BYTES || !this.#takesChunks;
    if (isShort || Buffer.byteLength(text) <= TRANSITION_CHUNK_BYTES) {
      this.#sendText(text);
      return;
    }
    const chunks = splitText(text, TRANSITION_CHUNK_BYTES);
    const transitionId = crypto.randomUUID();
    for (const [partNumber, chunk] of chunks.entries()) {
      this.#send({ type: "TransitionChunk", chunk, partNumber, totalParts: chunks.length, transitionId });
    }
  }

  #isExpired(): boolean {
    return this.#callerExpiresMs <= this.#deployment.now();
  }

  #expire(): void {
    this.#refuse("The token has expired", this.#identityVersion, false);
  }

  #refuse(error: string, baseVersion: number, authUpdateAttempted: boolean): void {
    this.#send({ type: "AuthError", error, baseVersion, authUpdateAttempted });
    this.#close(CLOSE_NORMAL, "AuthError");
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    if (error instanceof ProtocolError || error instanceof HttpProblem) {
      this.#send({ type: "FatalError", error: error.message });
      this.#close(CLOSE_POLICY, "FatalError");
      return;
    }
    this.#deployment.log("sync.failed", { error });
    // The client tries again by itself; the reason tells it how soon.
    this.#close(CLOSE_NORMAL, error instanceof UserError ? error.code : "InternalServerError");
  }

  #close(code: number, reason: string): void {
    this.closed();
    this.#wire.close(code, reason);
  }

  #send(message: ServerMessage): void {
    this.#sendText(JSON.stringify(message));
  }

  #sendText(text: string): void {
    if (this.#isClosed) return;
    this.lastSentMs = performance.now();
    this.#outbox.send(text);
  }
}

/** Whether a client that has the one result need not be told the other. Log lines alone are no news. */
function isSameResult(a: QueryOutcome, b: QueryOutcome): boolean {
  if (a === b) return true;
  if (a.isSuccess && b.isSuccess) return a.value === b.value && a.journal === b.journal;
  if (a.isSuccess || b.isSuccess) return false;
  return a.failure.message === b.failure.message && Bun.deepEquals(a.failure.data, b.failure.data);
}

/** Versions of npm packages compare by their first two numbers; what is no version counts as the newest. */
function isAtLeast(version: string | null, [major, minor]: readonly [number, number]): boolean {
  const match = /^(\d+)\.(\d+)\./.exec(version ?? "");
  if (match === null) return true;
  const [, theirMajor, theirMinor] = match.map(Number);
  return theirMajor === major ? (theirMinor ?? 0) >= minor : (theirMajor ?? 0) > major;
}

/** Cuts text into parts of at most `bytesMax` bytes of UTF-8 each, never inside a character. */
export function splitText(text: string, bytesMax: number): string[] {
  const bytes = Buffer.from(text);
  const parts: string[] = [];
  for (let start = 0; start < bytes.byteLength; ) {
    let end = Math.min(start + bytesMax, bytes.byteLength);
    // Bytes 10xxxxxx continue a character (RFC 3629 §3).
    while (end < bytes.byteLength && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
    parts.push(bytes.toString("utf8", start, end));
    start = end;
  }
  return parts;
}
