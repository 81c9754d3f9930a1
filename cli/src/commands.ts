import type { Command } from "./arguments.ts";

/** Every command of `tyto`, in the order of the help text. A new one is a file and a line here. */
export const commands: readonly { name: string; summary: string; load(): Promise<{ command: Command }> }[] = [
  { name: "up", summary: "run everything on this machine", load: () => import("./commands/up.ts") },
  { name: "test", summary: "run the tests, with real servers", load: () => import("./commands/test.ts") },
  {
    name: "doctor",
    summary: "say what is missing, and the command that mends it",
    load: () => import("./commands/doctor.ts"),
  },
  { name: "send", summary: "send a mail from the command line", load: () => import("./commands/send.ts") },
  {
    name: "trace",
    summary: "tell the life of one message in order, or sessions as they happen",
    load: () => import("./commands/trace.ts"),
  },
  {
    name: "queue",
    summary: "see what waits to be sent and why; hold, release, requeue, rebind or bounce it",
    load: () => import("./commands/queue.ts"),
  },
  {
    name: "site",
    summary: "tell where a domain's mail goes and how that is going",
    load: () => import("./commands/site.ts"),
  },
  {
    name: "domain",
    summary: "show and check sending domains, change their keys",
    load: () => import("./commands/domain.ts"),
  },
  {
    name: "backup",
    summary: "copy everything into one sealed file, while Tyto runs",
    load: () => import("./commands/backup.ts"),
  },
  {
    name: "restore",
    summary: "put a backup in place on an empty machine",
    load: () => import("./commands/restore.ts"),
  },
  {
    name: "mail",
    summary: "say what messages in files are",
    load: () => import("./commands/mail.ts"),
  },
  {
    name: "bounce",
    summary: "say why mail did not arrive, from reports or replies",
    load: () => import("./commands/bounce.ts"),
  },
  {
    name: "simulate",
    summary: "rehearse a month of mail from a new address",
    load: () => import("./commands/simulate.ts"),
  },
  { name: "dlq", summary: "look at dead letters and retry them", load: () => import("./commands/dlq.ts") },
  { name: "help", summary: "this text", load: () => import("./commands/help.ts") },
];
