import type { Database, Statement } from "bun:sqlite";

/** A mutation that has written into a batch, and what is to be done when the batch has ended. */
export type Member = {
  bytesWritten: number;
  /** What it has written is durable. */
  committed(): void;
  /** The batch could not be made durable: nothing of it has happened. */
  lost(): void;
};

/** How a member is taken back: the first one owns the whole SQL transaction, a later one a savepoint in it. */
export type Entry = "whole" | "savepoint";

/** What belongs to every COMMIT. */
export type Commits = {
  /** Writes the last rows of the SQL transaction. */
  seal(): void;
  ended(isDurable: boolean): void;
  /** What a member was to do at the end has failed; what it has written is as durable as the rest. */
  failed(error: unknown): void;
};

/**
 * The SQL transaction that mutations share, so that one fsync makes many of them durable. They run one after
 * another; each can be taken back alone until it has left. What has left becomes durable together, or not at all.
 */
export class Batch {
  readonly #raw: Database;
  readonly #commits: Commits;
  readonly #statements: Record<"begin" | "commit" | "rollback" | "save" | "release" | "undo", Statement>;
  #members: Member[] = [];
  #bytes = 0;
  #isOpen = false;
  #isGathering = false;

  constructor(raw: Database, commits: Commits) {
    this.#raw = raw;
    this.#commits = commits;
    this.#statements = {
      begin: raw.prepare("BEGIN IMMEDIATE"),
      commit: raw.prepare("COMMIT"),
      rollback: raw.prepare("ROLLBACK"),
      save: raw.prepare("SAVEPOINT member"),
      release: raw.prepare("RELEASE member"),
      undo: raw.prepare("ROLLBACK TO member"),
    };
  }

  /** Whether something is waiting to become durable, so that nobody may learn of it yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get members(): number {
    return this.#members.length;
  }

  get bytesWritten(): number {
    return this.#bytes;
  }

  /** From now until `close`, members that leave wait for it. Otherwise each is made durable when it leaves. */
  gather(): void {
    this.#isGathering = true;
  }

  enter(): Entry {
    if (!this.#isOpen) {
      this.#statements.begin.run();
      this.#isOpen = true;
      return "whole";
    }
    this.#assertIntact();
    this.#statements.save.run();
    return "savepoint";
  }

  /** The member has written everything. Throws when it is made durable at once and that fails. */
  leave(entry: Entry, member: Member): void {
    this.#assertIntact();
    if (entry === "savepoint") this.#statements.release.run();
    this.#members.push(member);
    this.#bytes += member.bytesWritten;
    if (!this.#isGathering) this.close();
  }

  /** Takes back what the member has written, and nothing else. */
  undo(entry: Entry): void {
    // After a full disk or the like SQLite itself has rolled back everything; `close` tells the others.
    const isIntact = this.#raw.inTransaction;
    if (entry === "whole") {
      this.#isOpen = false;
      if (isIntact) this.#statements.rollback.run();
    } else if (isIntact) {
      this.#statements.undo.run();
      this.#statements.release.run();
    }
  }

  /** Makes all that has left durable. When that fails, nothing of it has happened, and the error is thrown. */
  close(): void {
    this.#isGathering = false;
    if (!this.#isOpen) return;
    const members = this.#members;
    this.#members = [];
    this.#bytes = 0;
    this.#isOpen = false;
    try {
      this.#assertIntact();
      this.#commits.seal();
      this.#statements.commit.run();
    } catch (error) {
      if (this.#raw.inTransaction) this.#statements.rollback.run();
      this.#commits.ended(false);
      for (const member of members.toReversed()) this.#tell(() => member.lost());
      throw error;
    }
    this.#commits.ended(true);
    for (const member of members) this.#tell(() => member.committed());
  }

  /** One that fails must not keep the others from learning how it went. */
  #tell(member: () => void): void {
    try {
      member();
    } catch (error) {
      this.#commits.failed(error);
    }
  }

  #assertIntact(): void {
    if (!this.#raw.inTransaction) throw new Error("SQLite has rolled back the open transaction");
  }
}
