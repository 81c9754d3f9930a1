import { type Failure, toFailure, toSmtpReply } from "@tyto/contracts";
import { Counter, type Log, type Registry } from "@tyto/service";

/** What smtp-server sends for an error: `<responseCode> <message>`. */
export class SmtpError extends Error {
  readonly responseCode: number;
  constructor(failure: Failure, hangUp = false) {
    const { code, enhanced, text } = toSmtpReply(failure);
    super(`${enhanced} ${text}`);
    // RFC 5321 §3.8: the server ends a session on its own with 421 only.
    this.responseCode = hangUp ? 421 : code;
  }
}

/** Everything that is refused is counted here, and told to the log when it is about us. */
export class Refusals {
  readonly #log: Log;
  readonly #refused: Counter<"code">;

  constructor(log: Log, registry: Registry) {
    this.#log = log;
    this.#refused = new Counter({
      name: "tyto_bounce_refusals_total",
      help: "Refused recipients, messages and connections, by error",
      labelNames: ["code"],
      registers: [registry],
    });
  }

  /** The reply to what failed; the last one of its session with `hangUp`. */
  reply(error: unknown, hangUp = false): SmtpError {
    const failure = toFailure(error);
    this.#refused.inc({ code: failure.code });
    if (failure.code === "internal" || failure.code === "upstream.down")
      this.#log.error("mail.not-taken", { error });
    else this.#log.debug("mail.refused", { code: failure.code, detail: failure.message });
    return new SmtpError(failure, hangUp);
  }

  /** The last reply of a session that we end. */
  farewell(failure: Failure): SmtpError {
    this.#refused.inc({ code: failure.code });
    return new SmtpError(failure, true);
  }
}
