/** Mail by SMTP from Postfix's smtp-source, over connections that are kept. */
export async function sendBySmtp(
  address: string,
  { messages, bytes, sessions }: { messages: number; bytes: number; sessions: number },
): Promise<void> {
  const binary = Bun.which("smtp-source", { PATH: `${process.env.PATH}:/usr/sbin` });
  if (binary === null) throw new Error("smtp-source is missing: apt-get install postfix");
  const source = Bun.spawn(
    [
      binary,
      ...["-s", String(sessions), "-m", String(messages), "-l", String(bytes), "-d", "-N"],
      ...["-f", "a@bench.test", "-t", "u@dst.test", address],
    ],
    { stdout: "ignore", stderr: "inherit" },
  );
  if ((await source.exited) !== 0) throw new Error(`smtp-source ended with ${source.exitCode}`);
}
