import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { Failure } from "@tyto/contracts";
import { refuseWithoutRoom, storeDiskOf } from "./room.ts";

test("a disk with room, and one that nobody looks at, refuse nothing", () => {
  refuseWithoutRoom(undefined);
  refuseWithoutRoom({ dir: tmpdir(), freeMbMin: 1 });
  expect(storeDiskOf({ STORE_FREE_MB_MIN: 256 })).toBeUndefined();
});

test("a disk with too little room refuses for now, and says how much is left and wanted", () => {
  const refuse = () => refuseWithoutRoom(storeDiskOf({ STORE_DIR: tmpdir(), STORE_FREE_MB_MIN: 2 ** 40 }));
  expect(refuse).toThrow(Failure);
  expect(refuse).toThrow(
    expect.objectContaining({
      code: "storage.full",
      hint: expect.stringMatching(/ has \d+ MB left and mail is taken from 1099511627776 MB on/),
    }),
  );
});
