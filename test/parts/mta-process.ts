import { join } from "node:path";

export type Mta = { process: Bun.Subprocess; url: string };

export const mtaMainDefault = join(import.meta.dir, "../../services/mta/src/main.ts");

type MtaOptions = {
  name: string;
  main: string;
  login: { url: string; user?: string | undefined; password?: string | undefined };
  /** Where all mail goes. */
  remoteAddress: string;
  env: Readonly<Record<string, string>>;
};

/** An mta as people run it; resolves when it is ready. */
export async function startMta({ name, main, login, remoteAddress, env }: MtaOptions): Promise<Mta> {
  const { url, user = "", password = "" } = login;
  const child = Bun.spawn([process.execPath, main], {
    env: {
      PATH: process.env.PATH ?? "",
      NATS_URL: url,
      NATS_USER: user,
      NATS_PASSWORD: password,
      HEALTH_PORT: "0",
      MTA_NAME: name,
      MTA_SECRET: "a secret of the test, long enough",
      BOUNCE_VERP_KEY: "a verp key of the test, long enough",
      MAIL_HOSTNAME: "mail.tyto.test",
      TYTO_ROUTES: `*=${remoteAddress}`,
      RETRY_FIRST_S: "0.5",
      LOG_LEVEL: "info",
      ...env,
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  await whenStarted(child.stdout);
  return { process: child, url };
}

/** Reads on afterwards, so that the process does not wait for its reader. */
function whenStarted(stdout: ReadableStream<Uint8Array>): Promise<void> {
  const started = Promise.withResolvers<void>();
  let last = "";
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stdout) {
      last = (last + decoder.decode(chunk, { stream: true })).slice(-4_000);
      if (last.includes("service.started")) started.resolve();
    }
    started.reject(new Error(`the mta ended:\n${last}`));
  };
  void read();
  return started.promise;
}
