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
  const notes = missing(settings).map((line) => `${marks.partly} ${line}`);
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
      return `${marks.partly} wait until ClamAV has its signatures (being fetched or loaded)`;
    case "no-clamd":
      return `${marks.partly} wait: there is no clamd (${signatures.reason})`;
    case "test-only":
      return `${marks.partly} scanned for the EICAR test file ONLY: no virus signatures (${signatures.reason})`;
  }
}

/** What stands between this installation and mail on the internet. */
function missing(settings: Settings): string[] {
  const notes: string[] = [];
  if (!settings.hasMailHostname)
    notes.push(
      `MAIL_HOSTNAME is not set (${settings.mailHostname} is a guess): set the name that your MX and PTR records use`,
    );
  if (settings.ports.BOUNCE_PORT !== 25)
    notes.push(
      `Bounces from the internet come to port 25: lead it to ${settings.ports.BOUNCE_PORT}, or set BOUNCE_PORT=25 and BOUNCE_HOST=0.0.0.0`,
    );
  return notes;
}
