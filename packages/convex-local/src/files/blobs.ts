import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Where the bytes of stored files lie. */
export type Blobs = {
  create(uuid: string): BlobWriter;
  open(uuid: string, contentType: string | null): Blob;
  delete(uuid: string): void;
  list(): string[];
};

/** A file that is being written; it does not exist before `finish`, and is durable when that returns. */
export type BlobWriter = {
  write(chunk: Uint8Array): void;
  finish(): void;
  abort(): void;
};

/** A file each; one that was not finished never has its name. */
export function blobsInDirectory(directory: string): Blobs {
  mkdirSync(directory, { recursive: true });
  return {
    create(uuid) {
      const temporary = join(directory, `${uuid}.part`);
      const file = openSync(temporary, "wx", 0o600);
      let isOpen = true;
      return {
        write(chunk) {
          for (let at = 0; at < chunk.byteLength; ) at += writeSync(file, chunk, at);
        },
        finish() {
          fsyncSync(file);
          closeSync(file);
          isOpen = false;
          renameSync(temporary, join(directory, uuid));
          syncDirectory(directory);
        },
        abort() {
          if (isOpen) closeSync(file);
          rmSync(temporary, { force: true });
        },
      };
    },
    open: (uuid, contentType) =>
      Bun.file(join(directory, uuid), contentType === null ? {} : { type: contentType }),
    delete: (uuid) => rmSync(join(directory, uuid), { force: true }),
    list: () => readdirSync(directory),
  };
}

/** Makes a rename durable. */
function syncDirectory(directory: string): void {
  const folder = openSync(directory, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** For tests, and gone with the process. */
export function blobsInMemory(): Blobs {
  const blobs = new Map<string, Blob>();
  return {
    create(uuid) {
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      return {
        write: (chunk) => {
          chunks.push(new Uint8Array(chunk));
        },
        finish: () => {
          blobs.set(uuid, new Blob(chunks));
        },
        abort: () => {},
      };
    },
    open: (uuid, contentType) => {
      const blob = blobs.get(uuid);
      if (blob === undefined) throw new Error(`File ${uuid} is gone`);
      return contentType === null ? blob : blob.slice(0, blob.size, contentType);
    },
    delete: (uuid) => {
      blobs.delete(uuid);
    },
    list: () => [...blobs.keys()],
  };
}
