/** Questions asked of a part until it can be used. Each answers undefined for yes, else why not yet. */
type Question = () => Promise<string | undefined>;

const answerMsMax = 2_000;

const get = async (url: string): Promise<Response> =>
  fetch(url, { signal: AbortSignal.timeout(answerMsMax) });

/** Services answer /readyz with what is wrong. */
export const isServiceReady =
  (port: number): Question =>
  async () => {
    const answer = await get(`http://127.0.0.1:${port}/readyz`);
    if (answer.ok) return undefined;
    const report = (await answer.json()) as { checks?: Record<string, string> };
    const wrong = Object.entries(report.checks ?? {}).filter(([, state]) => state !== "ok");
    return wrong.map(([name, state]) => `${name}: ${state}`).join(", ") || `answered ${answer.status}`;
  };

/** Convex and convex-local tell their version without a key. */
export const isConvexReady =
  (port: number): Question =>
  async () => {
    const answer = await get(`http://127.0.0.1:${port}/version`);
    return answer.ok ? undefined : `answered ${answer.status}`;
  };

/** nats-server speaks first: a line beginning with INFO. */
export const isNatsReady =
  (port: number): Question =>
  async () =>
    (await firstWords(port)).startsWith("INFO") ? undefined : "it did not greet as NATS does";

/** clamd answers PING once its signatures are loaded. */
export const isClamdReady =
  (port: number): Question =>
  async () =>
    (await firstWords(port, "zPING\0")).startsWith("PONG") ? undefined : "it did not answer PING";

/** The first bytes that a server on this machine sends. Rejects when nobody listens. */
function firstWords(port: number, say = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no answer")), answerMsMax);
    const finish = (settle: () => void) => {
      clearTimeout(late);
      settle();
    };
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(say),
        data: (socket, bytes) => {
          finish(() => resolve(bytes.toString()));
          socket.end();
        },
        close: () => finish(() => reject(new Error("closed without an answer"))),
      },
    }).catch((error: unknown) => finish(() => reject(error)));
  });
}
