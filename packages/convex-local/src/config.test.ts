import { expect, test } from "bun:test";
import { loadConfig } from "./config.ts";

const required = { INSTANCE_SECRET: "ab".repeat(32), CONVEX_ADMIN_KEY: "tyto|0123" };

test("defaults suit a development machine", () => {
  expect(loadConfig(required)).toMatchObject({
    dataDir: "./data/convex",
    host: "127.0.0.1",
    port: 3210,
    sitePort: 3211,
    synchronous: "FULL",
    redact: false,
    instanceName: "tyto",
  });
});

test("every wrong setting is named at once", () => {
  const wrong = {
    CONVEX_PORT: "x",
    CONVEX_SITE_PORT: "70000",
    INSTANCE_SECRET: "short",
    CONVEX_ADMIN_KEY: "nokey",
  };
  for (const name of Object.keys(wrong)) expect(() => loadConfig(wrong)).toThrow(name);
});
