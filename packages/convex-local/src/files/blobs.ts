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
  /** Durable when it returns. */
  write(uuid: string, bytes: Uint8Array): void;
  open(uuid: string, contentType: string | null): Blob;
  delete(uuid: string): void;
  list(): string[];
};

export function blobsInDirectory(directory: string): Blobs {
  mkdirSync(directory, { recursive: true });
  return {
    write(uuid, bytes) {
      const temporary = join(directory, `${uuid}.part`);
      const file = openSync(temporary, "wx", 0o600);
      try {
        for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, join(directory, uuid));
      const folder = openSync(directory, "r");
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    },
    open: (uuid, contentType) =>
      Bun.file(join(directory, uuid), contentType === null ? {} : { type: contentType }),
    delete: (uuid) => rmSync(join(directory, uuid), { force: true }),
    list: () => readdirSync(directory),
  };
}

export function blobsInMemory(): Blobs {
  const blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    write: (uuid, bytes) => {
      blobs.set(uuid, new Uint8Array(bytes));
    },
    open: (uuid, contentType) => {
      const bytes = blobs.get(uuid);
      if (bytes === undefined) throw new Error(`File ${uuid} is gone`);
      return new Blob([bytes], contentType === null ? {} : { type: contentType });
    },
    delete: (uuid) => {
      blobs.delete(uuid);
    },
    list: () => [...blobs.keys()],
  };
}
