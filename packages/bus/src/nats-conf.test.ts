import { expect, test } from "bun:test";
import { join } from "node:path";
import { renderNatsConf } from "./nats-conf.ts";

const path = join(import.meta.dir, "../../../ops/nats.conf");

test("ops/nats.conf is what the contracts' table of users says", async () => {
  expect(await Bun.file(path).text()).toBe(renderNatsConf());
});
