/** Virus signatures for clamd: a folder that it loads, and how much it knows. */
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines } from "../run.ts";
import type { Machine } from "./machine.ts";

export type Signatures =
  /** `refresh` is a command that runs on and keeps them fresh; absent when somebody else does. */
  | { kind: "full"; directory: string; from: string; refresh?: readonly string[] }
  /** Only the EICAR test file is recognised. `reason` says why there are no real signatures. */
  | { kind: "test-only"; directory: string; reason: string };

/** MD5 and size of the EICAR test file (https://www.eicar.org), in ClamAV's .hdb format. */
const eicar = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n";

const systemDirectory = "/var/lib/clamav";
const downloadMsMax = 300_000;
/** freshclam keeps retrying mirrors; without a connection after this long there is none to wait for. */
const connectS = 10;

/** The one-line database that tests use: real detection, loaded at once. */
export async function testSignatures(machine: Machine): Promise<string> {
  const directory = join(machine.cacheDir, "signatures/eicar");
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "eicar.hdb"), eicar);
  return directory;
}

/** Real signatures of the system, else our own from ClamAV's mirror, else the test signature. */
export async function provideSignatures(machine: Machine): Promise<Signatures> {
  if (await hasDatabase(systemDirectory))
    return { kind: "full", directory: systemDirectory, from: "the system's freshclam" };
  const directory = join(machine.cacheDir, "signatures/clamav");
  const testOnly = async (reason: string): Promise<Signatures> => ({
    kind: "test-only",
    directory: await testSignatures(machine),
    reason,
  });
  const freshclam = machine.which("freshclam");
  if (!freshclam) return testOnly("freshclam is not installed");
  const config = `--config-file=${await writeFreshclamConfig(machine, directory)}`;
  if (!(await hasDatabase(directory))) {
    machine.say("fetching virus signatures from ClamAV's mirror (once; some 300 MB)");
    const outcome = await machine.run([freshclam, "--stdout", config], { timeoutMs: downloadMsMax });
    if (!(await hasDatabase(directory))) return testOnly(firstProblem(lastLines(outcome)));
  }
  const refresh = [freshclam, "--daemon", "--foreground", "--stdout", config];
  return { kind: "full", directory, from: "ClamAV's mirror", refresh };
}

/** A main or daily database, as a whole (.cvd) or with updates merged (.cld). */
export async function hasDatabase(directory: string): Promise<boolean> {
  if (!existsSync(directory)) return false;
  // A folder that may not be read counts as none: clamd could not load it either.
  const files = await readdir(directory).catch(() => []);
  return ["main", "daily"].every((name) => files.some((file) => new RegExp(`^${name}\\.c[vl]d$`).test(file)));
}

/** The configuration lies beside the database folder, in which freshclam keeps only its own files. */
async function writeFreshclamConfig(machine: Machine, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const user = await machine.run(["id", "-un"]);
  const lines = [
    "DatabaseMirror database.clamav.net",
    `DatabaseDirectory ${directory}`,
    `DatabaseOwner ${user.stdout.trim()}`,
    `ConnectTimeout ${connectS}`,
    "MaxAttempts 1",
    "Checks 6",
    "Foreground yes",
  ];
  const config = join(directory, "../freshclam.conf");
  await writeFile(config, `${lines.join("\n")}\n`);
  return config;
}

function firstProblem(text: string): string {
  const line = text.split("\n").find((entry) => /error|warning|can't|failed/i.test(entry));
  return line?.replace(/^.*?(ERROR|WARNING):\s*/, "") ?? "ClamAV's mirror cannot be reached";
}
