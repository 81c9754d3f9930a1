/** Messages as lines of JSON, for `tyto mail parse` and `tyto bounce classify`. */
import { open } from "node:fs/promises";
import type { Reply } from "@tyto/contracts";
import {
  type Claim,
  type Classification,
  claimOf,
  formatReply,
  type Message,
  readMessage,
  readReport,
} from "@tyto/mail";
import { complain } from "../screen.ts";

export const filesMax = 1_000_000;
/** The reader looks at the front only; more is not taken into memory. */
const bytesReadMax = 1024 * 1024;
const writtenCharsMax = 64 * 1024;

export type Line = {
  file?: string;
  kind: Claim["kind"];
  recipient: string | null;
  status: string | null;
  reply: string | null;
  reason: string | null;
  fault: string | null;
  hard: boolean | null;
  confidence: number | null;
  action: string | null;
  /** Where the mail to `recipient` ended up, when that is another address. */
  finalRecipient?: string;
  /** What the report says about the recipient, in one line. */
  diagnostic?: string;
  remoteMta?: string;
  /** The software whose format it is. */
  format?: string;
  /** Why it is of this kind. */
  why?: string;
};

const nothing = {
  recipient: null,
  status: null,
  reply: null,
  reason: null,
  fault: null,
  hard: null,
  confidence: null,
  action: null,
};

/** The lines of one message; never none, never throws for what the bytes say. */
export function linesOf(file: string, bytes: Uint8Array, isBounceExpected = false): Line[] {
  const message = readMessage(bytes);
  if (message === undefined)
    return [{ file, kind: "unclear", ...nothing, why: "its nesting or its header exceed any reason" }];
  const claim = isBounceExpected ? expected(message) : claimOf(message);
  if (claim.kind !== "bounce") return [{ file, kind: claim.kind, ...nothing, why: claim.why }];
  const { format, recipients } = claim.report;
  return recipients.map(
    (told): Line => ({
      file,
      kind: "bounce",
      ...nothing,
      recipient: told.address ?? null,
      ...(told.finalAddress === undefined ? {} : { finalRecipient: told.finalAddress }),
      status: told.status ?? null,
      reply: told.reply === undefined ? null : formatReply(told.reply),
      ...(told.classification ?? {}),
      action: told.action,
      ...(told.diagnostic === undefined ? {} : { diagnostic: told.diagnostic }),
      ...(told.remoteMta === undefined ? {} : { remoteMta: told.remoteMta }),
      format,
    }),
  );
}

/** Who asks why mail did not arrive knows that it did not: then also what looks like a person's mail is read as a report. */
function expected(message: Message): Claim {
  const claim = claimOf(message);
  const isOpen = claim.kind === "mail" || claim.kind === "reply" || claim.kind === "unclear";
  const report = isOpen ? readReport(message, true) : undefined;
  return report === undefined ? claim : { kind: "bounce", why: "a report, because one was expected", report };
}

/** One SMTP reply in the shape of the other lines. */
export const lineOfReply = (reply: Reply, verdict: Classification): Line => ({
  kind: "bounce",
  ...nothing,
  status: reply.enhanced ?? null,
  reply: formatReply(reply),
  ...verdict,
  action: reply.code >= 500 ? "failed" : reply.code >= 400 ? "delayed" : "delivered",
});

/** Prints the lines of each file in turn. 1 when a file could not be read, after all the others are done. */
export async function parseFiles(files: readonly string[], isBounceExpected = false): Promise<number> {
  let code = 0;
  let pending = "";
  for (const file of files) {
    const bytes = await read(file);
    if (bytes === undefined) {
      code = 1;
      continue;
    }
    for (const line of linesOf(file, bytes, isBounceExpected)) pending += `${JSON.stringify(line)}\n`;
    if (pending.length < writtenCharsMax) continue;
    await write(pending);
    pending = "";
  }
  await write(pending);
  return code;
}

const write = (text: string) =>
  new Promise<void>((resolve) => {
    process.stdout.write(text, () => resolve());
  });

/** The front of a file, or of standard input. `undefined`, and a word on standard error, when it cannot be read. */
async function read(file: string): Promise<Uint8Array | undefined> {
  try {
    if (file === "-") return new Uint8Array(await Bun.stdin.arrayBuffer()).subarray(0, bytesReadMax);
    const handle = await open(file);
    try {
      const about = await handle.stat();
      // A pipe has no size.
      if (!about.isFile()) return new Uint8Array(await handle.readFile()).subarray(0, bytesReadMax);
      const buffer = new Uint8Array(Math.min(about.size, bytesReadMax));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    complain(`tyto: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
