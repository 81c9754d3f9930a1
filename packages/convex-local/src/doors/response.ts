import { ChunkedBody } from "./chunks.ts";

type Body = { left: number } | ChunkedBody | "until-close";

/** Follows one response of the engine to know when it is complete; the engine is trusted to write good HTTP. */
export class ResponseReader {
  readonly #isHead: boolean;
  #partial = "";
  #body: Body | null = null;
  hasBegun = false;
  isComplete = false;
  /** The connection speaks WebSocket from now on. */
  isUpgrade = false;
  /** The engine closes the connection after it. */
  isLast = false;

  constructor(method: string) {
    this.#isHead = method === "HEAD";
  }

  feed(bytes: Buffer): void {
    this.hasBegun = true;
    let rest = bytes;
    while (this.#body === null && !this.isComplete && rest.length > 0) {
      const before = this.#partial.length;
      this.#partial += rest.toString("latin1");
      const end = this.#partial.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = this.#partial.slice(0, end + 2);
      this.#partial = "";
      rest = rest.subarray(end + 4 - before);
      this.#begin(head);
    }
    if (this.#body === null || this.#body === "until-close") return;
    if (this.#body instanceof ChunkedBody) {
      this.#body.take(rest);
      this.isComplete = this.#body.isComplete;
    } else {
      this.#body.left -= rest.length;
      this.isComplete = this.#body.left <= 0;
    }
  }

  #begin(head: string): void {
    const status = Number(head.slice(9, 12));
    if (status === 101) {
      this.isUpgrade = true;
      this.isComplete = true;
      return;
    }
    // An interim response; the real one follows.
    if (status < 200) return;
    this.isLast = /\r\nconnection:[ \t]*close/i.test(head);
    if (this.#isHead || status === 204 || status === 304) {
      this.isComplete = true;
      return;
    }
    const length = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1];
    if (/\r\ntransfer-encoding:[ \t]*chunked/i.test(head)) this.#body = new ChunkedBody();
    else if (length === undefined) this.#body = "until-close";
    else if (Number(length) === 0) this.isComplete = true;
    else this.#body = { left: Number(length) };
  }
}
