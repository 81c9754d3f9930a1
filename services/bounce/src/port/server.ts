import { SMTPServer, type SMTPServerSession } from "smtp-server";
import type { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { Connection } from "./connection.ts";
import { inOurWords } from "./replies.ts";

/** The server with a word in each of its replies. */
export class Server extends SMTPServer {
  /** Called before each reply; false when it has been sent in another way. */
  onReply: (connection: SMTPConnection, code: number) => boolean = () => true;
  readonly bySession = new WeakMap<SMTPServerSession, SMTPConnection>();

  override connect(...[socket, socketOptions]: Parameters<SMTPServer["connect"]>): void {
    const connection = new Connection(this, socket, socketOptions);
    const send = connection.send.bind(connection);
    connection.send = (code, text, context) => {
      if (this.onReply(connection, code)) send(code, inOurWords(code, text, context), context);
    };
    this.bySession.set(connection.session, connection);
    this.connections.add(connection);
    connection.on("error", (error) => this.emit("error", error));
    connection.init();
  }
}
