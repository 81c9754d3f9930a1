import type { ControlAnswer } from "@tyto/contracts";
import type { Line, Transcript } from "../wire/transcript.ts";
import { domainOf } from "./activity.ts";

type Told = ControlAnswer<"mta.trace">;

/** With whom a session is. */
export type Party = { host: string; ip: string; egress: string };

/** Who follows SMTP sessions as they happen, and which. */
export type Traces = {
  /** For one session that is about to begin. While nobody follows, it costs a question per line. */
  transcript(party: Party): Transcript;
  /** Tells the lines of sessions with a domain's servers, a site or a host, until `ended`. */
  follow(wanted: string, tell: (told: Told) => void, ended: AbortSignal): void;
};

export type TracePorts = {
  process: string;
  /** The servers of a domain; none for what is no domain. */
  hostsOf(domain: string): Promise<readonly string[]>;
  siteOfHost(host: string): string;
};

const tellEveryMs = 100;
/** Lines that wait for their telling: 2,000 a second. What comes faster is left out and counted. */
const waitingMax = 200;
const lineCharsMax = 1_000;

export function createTraces({ process, hostsOf, siteOfHost }: TracePorts): Traces {
  type Follower = { wanted: string; hosts: Set<string>; lines: Told["lines"]; dropped: number };
  const followers = new Set<Follower>();
  let sessions = 0;

  /** Lines to a recipient are of that domain; the opening of a session is of all domains that its server is for. */
  const isWanted = ({ wanted, hosts }: Follower, { host }: Party, { to }: Line) =>
    host === wanted ||
    siteOfHost(host) === wanted ||
    (to === undefined ? hosts.has(host) : domainOf(to) === wanted);

  return {
    transcript(party) {
      const session = (++sessions).toString(36);
      const known = { ...party, host: party.host.toLowerCase() };
      return {
        isHeard: () => followers.size > 0,
        say(line) {
          for (const follower of followers) {
            if (!isWanted(follower, known, line)) continue;
            const { atMs, side, text } = line;
            if (follower.lines.length >= waitingMax) follower.dropped++;
            else follower.lines.push({ ...known, atMs, session, side, text: text.slice(0, lineCharsMax) });
          }
        },
      };
    },

    follow(wanted, tell, ended) {
      const follower: Follower = { wanted: wanted.toLowerCase(), hosts: new Set(), lines: [], dropped: 0 };
      followers.add(follower);
      // Without its servers only the lines that name a recipient are told.
      hostsOf(follower.wanted).then(
        (hosts) => {
          for (const host of hosts) follower.hosts.add(host.toLowerCase());
        },
        (error: unknown) => {
          const text = `the servers of ${follower.wanted} were not found: ${String(error)}`.slice(
            0,
            lineCharsMax,
          );
          follower.lines.push({ ...nobody, atMs: Date.now(), session: "-", side: "*", text });
        },
      );
      const timer = setInterval(() => {
        if (follower.lines.length === 0 && follower.dropped === 0) return;
        tell({ process, lines: follower.lines.splice(0), dropped: follower.dropped });
        follower.dropped = 0;
      }, tellEveryMs);
      timer.unref();
      ended.addEventListener(
        "abort",
        () => {
          clearInterval(timer);
          followers.delete(follower);
        },
        { once: true },
      );
    },
  };
}

const nobody: Party = { host: "-", ip: "-", egress: "-" };
