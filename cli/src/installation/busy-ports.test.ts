import { expect, test } from "bun:test";
import { freePort } from "../../../test/parts/ports.ts";
import { holderOf, isFree, listeningInodes } from "./busy-ports.ts";

test("a taken port is seen, and who holds it is told", async () => {
  // Not one of those that the kernel gives to whoever asks for any: it is nobody's afterwards.
  const server = Bun.listen({ hostname: "127.0.0.1", port: await freePort(), socket: { data() {} } });
  expect(isFree(server.port)).toBe(false);
  if (process.platform === "linux") expect(await holderOf(server.port)).toContain(`pid ${process.pid}`);
  server.stop(true);
  expect(isFree(server.port)).toBe(true);
});

test("only listening sockets of the port are taken from the kernel's table", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1",
    "   1: 0100007F:0BB8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1",
    "   2: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1",
  ].join("\n");
  expect(listeningInodes(table, 3000)).toEqual(["4711"]);
});
