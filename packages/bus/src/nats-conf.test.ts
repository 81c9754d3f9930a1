import { expect, test } from "bun:test";
import { join } from "node:path";
import { renderNatsClusterConf, renderNatsConf } from "./nats-conf.ts";

const ops = join(import.meta.dir, "../../../ops");

test("ops/nats.conf and ops/nats-cluster.conf are what the contracts' table of users says", async () => {
  expect(await Bun.file(join(ops, "nats.conf")).text()).toBe(renderNatsConf());
  expect(await Bun.file(join(ops, "nats-cluster.conf")).text()).toBe(renderNatsClusterConf());
});
