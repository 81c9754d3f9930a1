import { HttpProblem } from "../http/problem.ts";

/** A chunk size, its extensions, or a trailer field: nobody needs more. */
const LINE_BYTES_MAX = 4096;
const TRAILER_LINES_MAX = 64;
const LF = 10;

/** Finds the end of a chunked body (RFC 9112 §7.1); the bytes themselves pass by as they are. */
export class ChunkedBody {
  #state: "size" | "data" | "data-end" | "trailer" = "size";
  #line = "";
  #dataLeft = 0;
  #trailerLines = 0;
  isComplete = false;

  /** How many of the bytes belong to the body. Throws HttpProblem 400. */
  take(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && !this.isComplete) {
      if (this.#state === "data") {
        const taken = Math.min(this.#dataLeft, bytes.length - at);
        this.#dataLeft -= taken;
        at += taken;
        if (this.#dataLeft === 0) this.#state = "data-end";
        continue;
      }
      const end = bytes.indexOf(LF, at);
      const stop = end === -1 ? bytes.length : end + 1;
      this.#line += bytes.toString("latin1", at, stop);
      if (this.#line.length > LINE_BYTES_MAX)
        throw new HttpProblem(400, "BadChunk", "A chunk's line is too long");
      at = stop;
      if (end !== -1) this.#endLine();
    }
    return at;
  }

  #endLine(): void {
    const line = this.#line.replace(/\r?\n$/, "");
    this.#line = "";
    switch (this.#state) {
      case "size": {
        const size = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
        if (size === undefined) throw new HttpProblem(400, "BadChunk", "A chunk has no size");
        this.#dataLeft = Number.parseInt(size, 16);
        this.#state = this.#dataLeft === 0 ? "trailer" : "data";
        break;
      }
      case "data-end":
        if (line !== "") throw new HttpProblem(400, "BadChunk", "A chunk is longer than its size");
        this.#state = "size";
        break;
      case "trailer":
        if (line === "") this.isComplete = true;
        else if (++this.#trailerLines > TRAILER_LINES_MAX) {
          throw new HttpProblem(400, "BadChunk", "There are too many trailer fields");
        }
        break;
    }
  }
}
