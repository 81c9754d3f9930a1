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
import {
  type AddQuery,
  type ClientMessage,
  type Modification,
  ProtocolError,
  parseClientMessage,
  type ServerMessage,
  type StateVersion,
} from "./protocol.ts";
import type { Requests } from "./requests.ts";

/** The socket as a connection needs it. */
export type Wire = {
  send(text: string): void;
  /** Bytes that the client has not taken yet. */
  unsentBytes(): number;
  close(code: number, reason: string): void;
};

const QUERIES_MAX = 4096;
const MUTATIONS_WAITING_MAX = 1000;
const ACTIONS_RUNNING_MAX = 1000;
const MESSAGES_WAITING_MAX = 2000;
/** A slow client is not sent another transition before it has taken most of the last. */
const UNSENT_BYTES_MAX = 1024 * 1024;
const TRANSITION_CHUNK_CHARS = 5_000_000;
const CLOSE_NORMAL = 1000;
const CLOSE_POLICY = 1008;

type Watched = { live: LiveQuery; onStale: () => void; sent: string | null };

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
  readonly #wire: Wire;
  readonly #watched = new Map<number, Watched>();
  #sessionId: string | null = null;
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
    wire: Wire,
  ) {
    this.#deployment = deployment;
    this.#callers = callers;
    this.#functions = functions;
    this.#requests = requests;
    this.#metadata = metadata;
    this.#wire = wire;
  }

  /** Takes a message from the client; never throws. */
  receive(text: string): void {
    if (++this.#messagesWaiting > MESSAGES_WAITING_MAX) {
      this.#fail(new ProtocolError("Too many messages are waiting"));
      return;
    }
    this.#inbox = this.#inbox
      .then(() => (this.#isClosed ? undefined : this.#handle(parseClientMessage(text))))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#messagesWaiting--);
  }

  /** The client has taken bytes: what waited for that goes on. */
  drained(): void {
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
    for (const { live, onStale } of this.#watched.values()) this.#deployment.live.unwatch(live, onStale);
    this.#watched.clear();
  }

  async #handle(message: ClientMessage): Promise<void> {
    if (message.type === "Connect") {
      this.#connect(message.sessionId, message.maxObservedTimestamp ?? null);
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
        this.#mutate(message, this.#sessionId);
        break;
      case "Action":
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

  #watch(queryId: number, call: Call, journal: string | null, sent: string | null): void {
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
    for (const [queryId, { live, onStale, sent }] of this.#watched) {
      this.#deployment.live.unwatch(live, onStale);
      const { identity, isAdmin } = this.#caller;
      this.#watch(
        queryId,
        { ...live.call, identity, access: isAdmin ? "any" : "public" },
        live.journal,
        sent,
      );
    }
    this.#wantTransition();
  }

  async #setCaller(message: ClientMessage & { type: "Authenticate" }): Promise<void> {
    this.#callerExpiresMs = Number.POSITIVE_INFINITY;
    switch (message.tokenType) {
      case "None":
        this.#caller = ANONYMOUS;
        break;
      case "User": {
        const { identity, expiresMs } = await this.#deployment.tokens.verify(message.value);
        this.#caller = { isAdmin: false, identity };
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
    const answer = await executor.run(async (): Promise<ServerMessage> => {
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
      const outcome = await runner.mutationNow(call, (transaction, value) => {
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
      metadata: this.#metadata,
      access: this.#caller.isAdmin ? "any" : "public",
    };
  }

  #requester(): Requester {
    return { caller: this.#caller, metadata: this.#metadata };
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
    if (this.#wire.unsentBytes() > UNSENT_BYTES_MAX) return; // drained() comes back.
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
    const { executor, live, store } = this.#deployment;
    const message = await executor.run(async () => {
      this.#isDirty = false;
      const isAwaited = this.#isAwaited;
      this.#isAwaited = false;
      const endVersion: StateVersion = {
        querySet: this.#querySetVersion,
        identity: this.#identityVersion,
        ts: encodeTs(store.ts),
      };
      const modifications: Modification[] = this.#removed.map((queryId) => ({
        type: "QueryRemoved",
        queryId,
      }));
      this.#removed = [];
      for (const [queryId, watched] of [...this.#watched]) {
        const outcome = await live.refresh(watched.live);
        const modification = this.#modification(queryId, outcome);
        const text = JSON.stringify(modification);
        if (text === watched.sent) continue;
        watched.sent = text;
        modifications.push(modification);
      }
      if (!isAwaited && modifications.length === 0) return undefined;
      const startVersion = this.#version;
      this.#version = endVersion;
      return { type: "Transition" as const, startVersion, endVersion, modifications };
    });
    if (message !== undefined) this.#sendTransition(message);
  }

  #modification(queryId: number, outcome: QueryOutcome): Modification {
    const { journal } = outcome;
    const requester = this.#requester();
    const logLines = this.#functions.logLines(outcome, requester);
    if (outcome.isSuccess) {
      return { type: "QueryUpdated", queryId, value: JSON.parse(outcome.value) as Json, logLines, journal };
    }
    const { data } = outcome.failure;
    const errorMessage = this.#functions.describeFailure(outcome, requester);
    return {
      type: "QueryFailed",
      queryId,
      errorMessage,
      ...(data === undefined ? {} : { errorData: data }),
      logLines,
      journal,
    };
  }

  #sendTransition(message: ServerMessage & { type: "Transition" }): void {
    const text = JSON.stringify(message);
    if (text.length <= TRANSITION_CHUNK_CHARS) {
      this.#sendText(text);
      return;
    }
    const chunks = splitText(text, TRANSITION_CHUNK_CHARS);
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
    this.#wire.send(text);
  }
}

/** Cuts text into parts of at most `charsMax`, never inside a surrogate pair. */
export function splitText(text: string, charsMax: number): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + charsMax, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}
