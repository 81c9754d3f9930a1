import { dlopen } from "bun:ffi";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/**
 * Has the kernel kill this process when its parent dies, however busy it is then: what runs without a parent would
 * keep the database to itself for ever. Throws where the C library of Linux is not found.
 */
export function dieWithParent(): void {
  const { symbols } = dlopen("libc.so.6", {
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  });
  if (symbols.prctl(PR_SET_PDEATHSIG, SIGKILL, 0n, 0n, 0n) !== 0) throw new Error("prctl failed");
}
