/** Convex's change log as the recorder reads it: the official live client, authenticated as the recorder. */
import { api } from "@tyto/convex/api";
import { ConvexClient } from "convex/browser";
import type { FunctionReturnType } from "convex/server";

export type Changes = FunctionReturnType<typeof api.sync.changes>;
export type SnapshotPart = FunctionReturnType<typeof api.sync.snapshot>;
export type SyncedBucket = Changes["changes"][number]["bucket"];

export type Feed = {
  /** Resolves with the first answer for which `isNews` holds; rejects when Convex refuses the query or `signal` fires. */
  next(after: number, isNews: (changes: Changes) => boolean, signal: AbortSignal): Promise<Changes>;
  snapshot(bucket: SyncedBucket, cursor: string | null, signal: AbortSignal): Promise<SnapshotPart>;
  /** True while the socket is open. */
  isConnected(): boolean;
  close(): Promise<void>;
};

/** The client reconnects by itself; a refused token is asked for again. */
export function openFeed(convexUrl: string, token: () => Promise<string>): Feed {
  const client = new ConvexClient(convexUrl, { skipConvexDeploymentUrlCheck: true, logger: false });
  client.setAuth(token);
  return {
    next: (after, isNews, signal) =>
      new Promise((resolve, reject) => {
        const end = () => {
          subscription.unsubscribe();
          signal.removeEventListener("abort", onAbort);
        };
        const onAbort = () => {
          end();
          reject(signal.reason);
        };
        const subscription = client.onUpdate(
          api.sync.changes,
          { after },
          (changes) => {
            if (!isNews(changes)) return;
            end();
            resolve(changes);
          },
          (error) => {
            end();
            reject(error);
          },
        );
        signal.addEventListener("abort", onAbort);
        if (signal.aborted) onAbort();
      }),
    snapshot: (bucket, cursor, signal) =>
      new Promise((resolve, reject) => {
        // A client that is closed answers nothing any more.
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        client.query(api.sync.snapshot, { bucket, cursor }).then(resolve, reject);
      }),
    isConnected: () => client.connectionState().isWebSocketConnected,
    close: () => client.close(),
  };
}
