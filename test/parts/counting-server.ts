/** A mail server in this process that takes everything and counts how often each recipient got something. */
import { SMTPServer } from "smtp-server";

export type CountingServer = {
  address: string;
  /** Times a message for this recipient was taken. */
  times(recipient: string): number;
  received(): number;
  recipients(): number;
  openConnections(): number;
  stop(): Promise<void>;
};

export async function startCountingServer(): Promise<CountingServer> {
  const taken = new Map<string, number>();
  let received = 0;
  let open = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    logger: false,
    onConnect(_session, callback) {
      open++;
      callback();
    },
    onClose() {
      open--;
    },
    onData(stream, session, callback) {
      stream.on("error", callback);
      stream.on("end", () => {
        for (const { address } of session.envelope.rcptTo) taken.set(address, (taken.get(address) ?? 0) + 1);
        received++;
        callback();
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
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}
