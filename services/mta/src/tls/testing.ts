/**
 * Certificates of the tests, fixtures/tls/*.pem, made by `openssl ca -startdate -enddate` from 2019 until 2059, and until 2020
 * where they are over, so that no machine's clock matters:
 *
 *     authority ── known (mx.test, mta-sts.example.org, reports.test), ended (mx.test, over), other (other.test)
 *               └─ issuing ── issued (mx.test, alias.test)
 *     stranger ─── unknown (mx.test), nexthop (example.org)
 *     other ────── forged (mx.test), though other is no authority
 */
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Tlsa } from "./tlsa.ts";

const folder = `${import.meta.dir}/../../fixtures/tls`;

/** The certificate and, where it is a server's, its key, as PEM. */
export const pemOf = (name: string): string => readFileSync(`${folder}/${name}.pem`, "utf8");
export const certificateOf = (name: string) => new X509Certificate(pemOf(name));

/** `known+issuing` as a server shows it: its key, its certificate, and what it sends along. */
export const chainPem = (names: string): string => names.split("+").map(pemOf).join("\n");

/** The TLSA record `3 1 1` of the certificate `known`, and the like. */
export function tlsaOf(usage: number, selector: number, matchingType: number, name: string): Tlsa {
  const certificate = certificateOf(name);
  const bytes =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: "spki", format: "der" });
  const digest = [undefined, "sha256", "sha512"][matchingType];
  const data = digest === undefined ? bytes : createHash(digest).update(bytes).digest();
  return { usage, selector, matchingType, certificate: new Uint8Array(data) };
}

export type TlsServer = {
  port: number;
  /** Every command in the order it came; those under TLS begin with `tls `. */
  commands: string[];
  /** Names asked for by SNI. */
  serverNames: string[];
  stop(): Promise<void>;
};

/**
 * A mail server with STARTTLS that takes every message. `mode` is its certificates (`issued+issuing`), `clear` without
 * TLS, `refuses` with TLS that it then refuses, or `broken` with a handshake that fails.
 */
export async function startTlsServer(mode: string, offers: readonly string[] = []): Promise<TlsServer> {
  const pem = ["clear", "refuses", "broken"].includes(mode) ? "" : chainPem(mode);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serve(socket, false);
    socket.write("220 mx.test ESMTP\r\n");
  });

  function serve(socket: Socket, isSecure: boolean): void {
    let text = "";
    let isBody = false;
    socket.on("error", () => socket.destroy());
    socket.on("data", function take(part: Buffer) {
      text += part.toString("latin1");
      for (;;) {
        const mark = isBody ? "\r\n.\r\n" : "\r\n";
        const end = text.indexOf(mark);
        if (end === -1) return;
        const line = text.slice(0, end);
        text = text.slice(end + mark.length);
        if (isBody) {
          isBody = false;
          socket.write("250 2.0.0 taken\r\n");
          continue;
        }
        state.commands.push(`${isSecure ? "tls " : ""}${line}`);
        const verb = line.slice(0, 4).toUpperCase();
        if (verb === "STAR" && mode !== "refuses" && mode !== "clear") {
          socket.off("data", take);
          socket.write("220 go ahead\r\n");
          if (mode === "broken") socket.once("data", () => socket.write("this is no handshake\r\n"));
          else secure(socket);
          return;
        }
        if (verb === "STAR") socket.write("454 4.7.0 not now\r\n");
        else if (verb === "EHLO") {
          const lines = ["mx.test", ...(isSecure || mode === "clear" ? [] : ["STARTTLS"]), ...offers];
          socket.write(
            lines.map((one, at) => `250${at === lines.length - 1 ? " " : "-"}${one}\r\n`).join(""),
          );
        } else if (verb === "DATA") {
          isBody = true;
          socket.write("354 go on\r\n");
        } else socket.write("250 2.0.0 ok\r\n");
      }
    });
  }

  function secure(socket: Socket): void {
    const secureContext = createSecureContext({ cert: pem, key: pem });
    const wrapped = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      SNICallback(name, done) {
        state.serverNames.push(name);
        done(null, secureContext);
      },
    });
    sockets.add(wrapped);
    serve(wrapped, true);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const state: TlsServer = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    commands: [],
    serverNames: [],
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}
