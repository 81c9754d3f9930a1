/** Virus signatures for clamd: a folder that it loads, and how much it knows. */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines } from "../run.ts";
import type { Machine } from "./machine.ts";

export type Signatures =
  | { kind: "full"; directory: string; from: string }
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

/** Real signatures of the system, else freshly downloaded ones, else the test signature. */
export async function provideSignatures(machine: Machine): Promise<Signatures> {
  if (await hasDatabase(systemDirectory))
    return { kind: "full", directory: systemDirectory, from: "the system's freshclam" };
  const own = join(machine.cacheDir, "signatures/clamav");
  const problem = await download(machine, own);
  if (await hasDatabase(own)) return { kind: "full", directory: own, from: "ClamAV's mirror" };
  return { kind: "test-only", directory: await testSignatures(machine), reason: problem };
}

/** A main or daily database, as a whole (.cvd) or with updates merged (.cld). */
export async function hasDatabase(directory: string): Promise<boolean> {
  if (!existsSync(directory)) return false;
  // A folder that may not be read counts as none: clamd could not load it either.
  const files = await readdir(directory).catch(() => []);
  return ["main", "daily"].every((name) => files.some((file) => new RegExp(`^${name}\\.c[vl]d$`).test(file)));
}

async function download(machine: Machine, directory: string): Promise<string> {
  const freshclam = machine.which("freshclam");
  if (!freshclam) return "freshclam is not installed";
  await mkdir(directory, { recursive: true });
  const config = join(directory, "freshclam.conf");
  const lines = [
    "DatabaseMirror database.clamav.net",
    `DatabaseDirectory ${directory}`,
    `ConnectTimeout ${connectS}`,
    "MaxAttempts 1",
    "Foreground yes",
    "CompressLocalDatabase no",
  ];
  const user = await machine.run(["id", "-un"]);
  if (user.stdout.trim() !== "") lines.push(`DatabaseOwner ${user.stdout.trim()}`);
  await writeFile(config, `${lines.join("\n")}\n`);
  machine.say("asking ClamAV's mirror for virus signatures");
  const outcome = await machine.run([freshclam, "--stdout", `--config-file=${config}`], {
    timeoutMs: downloadMsMax,
  });
  await rm(config, { force: true });
  return outcome.code === 0 ? "freshclam brought no database" : firstProblem(lastLines(outcome));
}

function firstProblem(text: string): string {
  const line = text.split("\n").find((entry) => /error|warning|can't|failed/i.test(entry));
  return line?.replace(/^.*?(ERROR|WARNING):\s*/, "") ?? "ClamAV's mirror cannot be reached";
}
