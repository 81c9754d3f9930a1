/** The note that a running installation leaves in its data folder: who runs it and where it can be reached. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../json.ts";
import { Trouble } from "../trouble.ts";
import { portNames } from "./settings.ts";

const Note = z.object({
  pid: z.number().int(),
  startedAtMs: z.number(),
  gatewayUrl: z.string(),
  siteUrl: z.string(),
  natsUrl: z.string(),
  convexUrl: z.string().optional(),
  /** Of the parts that it runs, wherever variables have put them. */
  ports: z.partialRecord(z.enum(portNames), z.number().int()).optional(),
});
export type Note = z.infer<typeof Note>;

const noteOf = (dataDir: string) => join(dataDir, "running.json");

/** The installation that runs on this data folder now, if any. */
export async function findRunning(dataDir: string): Promise<Note | undefined> {
  // No file: nothing runs.
  const text = await readFile(noteOf(dataDir), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = Note.safeParse(parseJson(text));
  return parsed.success && (await isTyto("up", parsed.data.pid)) ? parsed.data : undefined;
}

/** The process that copies this data folder now, if any: `tyto backup` takes the folder while Tyto stands still. */
async function findBackup(dataDir: string): Promise<number | undefined> {
  // No file: nobody has the folder.
  const text = await readFile(noteOf(dataDir), "utf8").catch(() => "");
  const parsed = Note.safeParse(parseJson(text));
  return parsed.success && (await isTyto("backup", parsed.data.pid)) ? parsed.data.pid : undefined;
}

/** Takes the data folder for this process. Throws Trouble when another `tyto up` has it. */
export async function claimData(dataDir: string, note: Note): Promise<{ release(): Promise<void> }> {
  const path = noteOf(dataDir);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(path, JSON.stringify(note), { flag: "wx", mode: 0o600 });
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const running = await findRunning(dataDir);
      if (running)
        throw new Trouble(
          `Tyto runs already on ${dataDir} (pid ${running.pid}): ${running.siteUrl}`,
          "stop it with Ctrl-C, or use another folder: ./tyto up --data DIR with TYTO_PORT_OFFSET=1000",
        );
      const backup = await findBackup(dataDir);
      if (backup !== undefined)
        throw new Trouble(`a backup of ${dataDir} is being made (pid ${backup})`, "wait until it is done");
      // Left over from one that was killed.
      await rm(path, { force: true });
    }
  }
  throw new Trouble(`another ./tyto up is starting on ${dataDir} at this moment`);
}

/** A process with this id lives and is ours; ids are reused after a restart of the machine. */
async function isTyto(command: "up" | "backup", pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  // Outside Linux there is no /proc; then a living process is taken for ours.
  const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "main.ts\0up");
  return line.includes(`main.ts\0${command}`);
}
