/** What the slow tests talk to besides nats-server and clamd. Missing ones skip tests and say why. */
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { lastLines } from "../run.ts";
import { isDebian } from "./debian.ts";
import type { Machine, Provided } from "./machine.ts";

export type TestProgram = {
  name: string;
  programs: readonly string[];
  packages: readonly string[];
  for: string;
};

export const testPrograms: readonly TestProgram[] = [
  { name: "postfix", programs: ["postfix"], packages: ["postfix"], for: "delivery to a real mail server" },
  {
    name: "chromium",
    programs: ["chromium", "chromium-browser", "google-chrome"],
    packages: ["chromium"],
    for: "the dashboard in a browser",
  },
  { name: "openssl", programs: ["openssl"], packages: ["openssl"], for: "certificates of test servers" },
];

/** On PATH, else installed by apt when this is Debian and we are root. */
export async function provideTestProgram(machine: Machine, program: TestProgram): Promise<Provided> {
  const found = machine.which(...program.programs);
  if (found) return { kind: "there", path: found, version: "" };
  const mend = `apt-get install ${program.packages.join(" ")}`;
  if (!isDebian(machine))
    return { kind: "missing", reason: `${program.name} is not installed`, mend: `install ${program.name}` };
  if (!machine.isRoot)
    return {
      kind: "missing",
      reason: `${program.name} is not installed, and installing it needs root`,
      mend,
    };
  machine.say(`installing ${program.packages.join(" ")} for ${program.for}`);
  const problem = await installPackages(machine, program.packages);
  const path = machine.which(...program.programs);
  return path
    ? { kind: "there", path, version: "" }
    : { kind: "missing", reason: problem ?? `${program.name} did not appear`, mend };
}

const policyFile = "/usr/sbin/policy-rc.d";

/** Installs without starting any service: a mail server of the tests must not take the machine's port 25. */
async function installPackages(machine: Machine, packages: readonly string[]): Promise<string | undefined> {
  const ownPolicy = !existsSync(policyFile);
  if (ownPolicy) await writeFile(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const updated = await machine.run(["apt-get", "-qq", "update"]);
    const installed = await machine.run([
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      "-qq",
      "-y",
      "--no-install-recommends",
      "install",
      ...packages,
    ]);
    return installed.code === 0
      ? undefined
      : `apt-get install failed:\n${lastLines(updated.code ? updated : installed)}`;
  } finally {
    if (ownPolicy) await rm(policyFile, { force: true });
  }
}
