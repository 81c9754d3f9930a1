import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";

type Command = Parameters<SMTPConnection["handler_MAIL"]>;

/** What EHLO offers for MAIL (RFC 1870, 6152, 6531, 3461, 8689) and for RCPT (RFC 3461). */
const params = {
  "mail from": new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "REQUIRETLS"]),
  "rcpt to": new Set(["NOTIFY", "ORCPT"]),
} as const;

/** The commands as RFC 5321 wants them where smtp-server answers in another way. */
export class Connection extends SMTPConnection {
  override handler_MAIL(...[command, callback]: Command): void {
    if (this.#knowsParams("mail from", command)) super.handler_MAIL(command, callback);
    else callback();
  }

  override handler_RCPT(...[command, callback]: Command): void {
    if (this.#knowsParams("rcpt to", command)) super.handler_RCPT(command, callback);
    else callback();
  }

  /** RFC 5321 §3.5.3: a server that tells nobody which mailboxes it has says 252, whoever is asked for. */
  override handler_VRFY(...[command, callback]: Command): void {
    if (/^\S+\s+\S/.test(command.toString())) this.send(252, "Not verified here; RCPT tells who gets mail");
    else this.send(501, "VRFY needs an address");
    callback();
  }

  /** RFC 5321 §3.5.3, §4.2.4: known, and not implemented. */
  handler_EXPN(...[, callback]: Command): void {
    this.send(502, "There are no lists here");
    callback();
  }

  /** RFC 5321 §4.1.1.11: a parameter that was not offered is refused with 555. False when it was. */
  #knowsParams(name: keyof typeof params, command: Command[0]): boolean {
    const parsed = this._parseAddressCommand(name, command);
    const args = parsed === false ? undefined : parsed.args;
    const unknown = Object.keys(args || {}).find((key) => !params[name].has(key));
    if (unknown === undefined) return true;
    this.send(555, "A parameter is not known here");
    return false;
  }
}
