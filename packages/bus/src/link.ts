/** The one connection to NATS: it comes back by itself, and says when it was lost, found again or refused something. */
import { Failure } from "@tyto/contracts";
import {
  connect,
  headers as createHeaders,
  ErrorCode,
  Events,
  type MsgHdrs,
  type NatsConnection,
  NatsError,
} from "nats";
import type { BusLog } from "./log.ts";

export type Headers = Readonly<Record<string, string>>;

export type Login = {
  /** `nats://host:port`, or several with commas. */
  url: string;
  user?: string | undefined;
  password?: string | undefined;
};

export type Link = {
  nats: NatsConnection;
  /** Prefix of every reply subject; the user may subscribe below it and nowhere else. */
  inbox: string;
  isConnected(): boolean;
  /** Durables that the server did not serve when they were last asked for messages. */
  refused: Set<string>;
  /** The server is one of several. */
  isClustered(): boolean;
  /** Resolves once connected; rejects with Failure `upstream.down` at `giveUpAtMs`. */
  whenConnected(giveUpAtMs: number): Promise<void>;
  /** Called after each reconnect. The result takes the listener away. */
  onReconnect(listener: () => void): () => void;
  onDisconnect(listener: () => void): () => void;
  /** Called with the subject that the server did not let us publish to. */
  onDenied(listener: (subject: string) => void): () => void;
  /** Publishes without waiting for an answer; lost while disconnected. */
  publish(subject: string, data: Uint8Array, options: { reply?: string; headers?: Headers }): void;
  /** Publishes without waiting for an answer. While disconnected it is kept and sent after the reconnect. */
  say(subject: string, text: string): void;
};

/** Acknowledgements kept while disconnected; older ones give way and their messages come again. */
const sayWaitingMax = 10_000;
const connectMsMax = 10_000;
const connectAgainMs = 250;

/** Throws Failure `upstream.down` when nothing answers within `connectMsMax`, or at once when the login is refused. */
export async function openLink(login: Login & { name: string }, log: BusLog): Promise<Link> {
  const inbox = `_INBOX_${login.user ?? login.name}`;
  const nats = await dial(login, inbox);
  const listeners = {
    reconnect: new Set<() => void>(),
    disconnect: new Set<() => void>(),
    denied: new Set<(subject: string) => void>(),
  };
  let isConnected = true;
  const unsaid: { subject: string; text: string }[] = [];

  const watch = async () => {
    for await (const status of nats.status()) {
      if (status.type === Events.Disconnect) {
        isConnected = false;
        log.warn("bus.disconnected", { server: status.data });
        for (const listener of listeners.disconnect) listener();
      } else if (status.type === Events.Reconnect) {
        isConnected = true;
        log.info("bus.reconnected", { server: status.data });
        for (const { subject, text } of unsaid.splice(0)) nats.publish(subject, text);
        for (const listener of listeners.reconnect) listener();
      } else if (status.type === Events.Error) {
        const denied = status.permissionContext;
        log.error("bus.error", { problem: status.data, ...denied });
        if (denied?.operation === "publish")
          for (const listener of listeners.denied) listener(denied.subject);
      }
    }
  };
  void watch();
  void nats.closed().then((error) => {
    isConnected = false;
    for (const listener of listeners.disconnect) listener();
    if (error instanceof Error) log.error("bus.closed", { problem: error.message });
  });

  const listen =
    <L>(set: Set<L>) =>
    (listener: L) => {
      set.add(listener);
      return () => void set.delete(listener);
    };
  const onReconnect = listen(listeners.reconnect);

  return {
    nats,
    inbox,
    isConnected: () => isConnected,
    refused: new Set(),
    isClustered: () => nats.info?.cluster !== undefined,
    whenConnected(giveUpAtMs) {
      if (isConnected) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const late = setTimeout(
          () => {
            forget();
            reject(new Failure("upstream.down", "NATS is disconnected"));
          },
          Math.max(0, giveUpAtMs - Date.now()),
        );
        const forget = onReconnect(() => {
          clearTimeout(late);
          forget();
          resolve();
        });
      });
    },
    onReconnect,
    onDisconnect: listen(listeners.disconnect),
    onDenied: listen(listeners.denied),
    publish(subject, data, { reply, headers }) {
      nats.publish(subject, data, {
        ...(reply === undefined ? {} : { reply }),
        ...(headers === undefined ? {} : { headers: toMsgHdrs(headers) }),
      });
    },
    say(subject, text) {
      if (isConnected) {
        try {
          return nats.publish(subject, text);
        } catch (error) {
          // Said by a handler that ended after the drain: its message comes again, elsewhere.
          return log.warn("bus.said-too-late", { subject, error });
        }
      }
      unsaid.push({ subject, text });
      if (unsaid.length > sayWaitingMax) unsaid.shift();
    },
  };
}

async function dial({ url, user, password, name }: Login & { name: string }, inbox: string) {
  for (const giveUpAtMs = Date.now() + connectMsMax; ; ) {
    try {
      return await connect({
        servers: url.split(",").map((server) => server.trim()),
        name,
        inboxPrefix: inbox,
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { pass: password }),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
        reconnectJitter: 100,
        // A server that hangs without closing the connection is noticed after 20 to 30 s; the client's default is 6 min.
        pingInterval: 10_000,
        maxPingOut: 2,
        timeout: 5_000,
        // Two refused logins in a row (a restart while passwords change) must not end a client that is to reconnect for ever.
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
      });
    } catch (error) {
      const isRefusedLogin = error instanceof NatsError && error.code === ErrorCode.AuthorizationViolation;
      if (isRefusedLogin)
        throw new Failure("upstream.down", `NATS at ${url} refused the login of user ${user ?? "(none)"}`, {
          cause: error,
        });
      if (Date.now() + connectAgainMs > giveUpAtMs)
        throw new Failure("upstream.down", `NATS at ${url} does not answer`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, connectAgainMs));
    }
  }
}

function toMsgHdrs(entries: Headers): MsgHdrs {
  const set = createHeaders();
  for (const [name, value] of Object.entries(entries)) set.set(name, value);
  return set;
}
