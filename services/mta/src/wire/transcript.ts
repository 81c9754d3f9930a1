/** A line of a session as it is said: by the server, by us, or what happened. Message text is not among them. */
export type Line = {
  atMs: number;
  side: "<" | ">" | "*";
  text: string;
  /** The recipient of the message under way; the opening of a session belongs to none. */
  to?: string;
};

/** Who follows sessions. It is asked before a line is made, so that a session nobody follows pays for one question. */
export type Transcript = {
  isHeard(): boolean;
  say(line: Line): void;
};

/** Takes what is said on one session. */
export type Scribe = {
  isHeard(): boolean;
  /** One line or several; line ends are left out. */
  note(side: Line["side"], text: string): void;
  /** What follows concerns a message to this recipient. */
  begin(to: string): void;
};

/** The scribe of a session that cannot be followed. */
export const noScribe: Scribe = { isHeard: () => false, note: () => {}, begin: () => {} };

export function createScribe({ isHeard, say }: Transcript): Scribe {
  let recipient: string | undefined;
  return {
    isHeard,
    note(side, text) {
      if (!isHeard()) return;
      const common = { atMs: Date.now(), side, ...(recipient === undefined ? {} : { to: recipient }) };
      for (const line of text.split(/\r?\n/)) if (line !== "") say({ ...common, text: masked(line) });
    },
    begin(to) {
      recipient = to;
    },
  };
}

/** Secrets stay here: what follows the name of the mechanism. */
const masked = (line: string) => line.replace(/^(AUTH\s+\S+)\s.*$/i, "$1 ***");
