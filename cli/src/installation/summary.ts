/** What a person needs to know once everything runs. */
import { relative } from "node:path";
import type { Signatures } from "../provide/signatures.ts";
import { box, colours, marks, table } from "../screen.ts";
import type { Settings } from "./settings.ts";

export type Summary = {
  settings: Settings;
  secretsPath: string;
  signatures: Signatures | { kind: "coming" } | { kind: "no-clamd"; reason: string };
  tookText: string;
};

export function summarize({ settings, secretsPath, signatures, tookText }: Summary, cwd: string): string {
  const { ports } = settings;
  const api = `http://localhost:${ports.GATEWAY_PORT}`;
  const secrets = relative(cwd, secretsPath).startsWith("..") ? secretsPath : relative(cwd, secretsPath);
  const rows = table(
    [
      ["Dashboard", colours.bold(colours.cyan(settings.siteUrl))],
      ["API", `${colours.cyan(`${api}/v1`)}   reference: ${colours.cyan(`${api}/docs`)}`],
      ["API key", `MTA_API_KEY in ${secrets}`],
      ["Mail in", `${settings.bounceHost}:${ports.BOUNCE_PORT} (bounces and replies)`],
      ["Attachments", scanning(signatures)],
    ].map(([name = "", value = ""]) => [colours.dim(name), value]),
    "   ",
  );
  const notes = missing(settings, signatures).map((line) => `${marks.partly} ${line}`);
  const frame = box("Tyto is up", ["", ...rows, "", ...notes, ...(notes.length > 0 ? [""] : [])]);
  return [
    frame,
    colours.dim(`Ready after ${tookText}. Add your domain in the dashboard, then send a first mail:`),
    "",
    `curl ${api}/v1/emails \\`,
    `  -H "Authorization: Bearer $(sed -n 's/^MTA_API_KEY=//p' ${secrets})" \\`,
    '  -H "Content-Type: application/json" \\',
    `  -d '{"from": "you@your-domain.example", "to": "friend@example.org", "subject": "Hello", "text": "It works."}'`,
    "",
    colours.dim("Ctrl-C stops everything; the data stays."),
  ].join("\n");
}

function scanning(signatures: Summary["signatures"]): string {
  switch (signatures.kind) {
    case "full":
      return `scanned by ClamAV (signatures from ${signatures.from})`;
    case "coming":
      return `${marks.partly} wait until ClamAV has fetched and loaded its signatures`;
    case "no-clamd":
      return `${marks.partly} wait: there is no clamd`;
    case "test-only":
      return `${marks.partly} NOT protected: no virus signatures; only the EICAR test file is refused`;
  }
}

/** What stands between this installation and mail on the internet. */
function missing(settings: Settings, signatures: Summary["signatures"]): string[] {
  const notes: string[] = [];
  if (signatures.kind === "test-only" || signatures.kind === "no-clamd")
    notes.push(`ClamAV: ${signatures.reason}`);
  if (!settings.hasMailHostname)
    notes.push(
      `MAIL_HOSTNAME is a guess (${settings.mailHostname}): set the name in your MX and PTR records`,
    );
  if (settings.ports.BOUNCE_PORT !== 25)
    notes.push(
      `Bounces from the internet come to port 25: lead it to ${settings.ports.BOUNCE_PORT}, or set BOUNCE_PORT, BOUNCE_HOST`,
    );
  return notes;
}
