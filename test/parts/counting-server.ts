/** A mail server in this process that takes everything and counts how often each recipient got something. */
import { SMTPServer } from "smtp-server";

export type CountingServer = {
  address: string;
  /** Times a message for this recipient was taken. */
  times(recipient: string): number;
  received(): number;
  recipients(): number;
  openConnections(): number;
  /** Connections since the start. */
  connections(): number;
  /** The most that were open at one moment. */
  openMax(): number;
  stop(): Promise<void>;
};

/** `onTaken` hears of each recipient of a message that was taken; `answerMs` is how long each message takes. */
export async function startCountingServer({
  onTaken,
  answerMs = 0,
}: {
  onTaken?: (recipient: string) => void;
  answerMs?: number;
} = {}): Promise<CountingServer> {
  const taken = new Map<string, number>();
  let received = 0;
  let open = 0;
  let openMax = 0;
  let connections = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    logger: false,
    onConnect(_session, callback) {
      open++;
      connections++;
      openMax = Math.max(openMax, open);
      callback();
    },
    onClose() {
      open--;
    },
    onData(stream, session, callback) {
      stream.on("error", callback);
      stream.on("end", () => {
        for (const { address } of session.envelope.rcptTo) {
          taken.set(address, (taken.get(address) ?? 0) + 1);
          onTaken?.(address);
        }
        received++;
        if (answerMs > 0) setTimeout(callback, answerMs);
        else callback();
      });
      stream.resume();
    },
  });
  // A sender that is killed leaves a broken connection behind; that is what the test is about.
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    address: `127.0.0.1:${address.port}`,
    times: (recipient) => taken.get(recipient) ?? 0,
    received: () => received,
    recipients: () => taken.size,
    openConnections: () => open,
    connections: () => connections,
    openMax: () => openMax,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}
