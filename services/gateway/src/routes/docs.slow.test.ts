import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Browser, chromium } from "playwright-core";
import { startTestGateway, type TestGateway } from "../testing.ts";

/** A busy machine takes a while to draw a page. */
const pageMsMax = 120_000;

const program = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
let gateway: TestGateway;
let server: Bun.Server<undefined>;
let browser: Browser;
beforeAll(async () => {
  gateway = await startTestGateway();
  server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => gateway.app.fetch(request, {}) });
  if (program !== null)
    browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"], timeout: pageMsMax });
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await server.stop(true);
  await gateway.stop();
}, 30_000);

test.skipIf(program === null)(
  "the reference shows every operation under its own policy and asks no other host",
  async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(pageMsMax);
    const foreign: string[] = [];
    const problems: string[] = [];
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && url.port !== String(server.port)) foreign.push(request.url());
    });
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    // The icon is the dashboard's, which is not served here.
    await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
    await page.goto(`http://127.0.0.1:${server.port}/docs`, { waitUntil: "networkidle" });
    await page.getByRole("heading", { name: "Send a message" }).first().waitFor();
    for (const tag of ["Emails", "Suppressions", "Domains", "API keys"])
      await page
        .getByRole("link", { name: tag })
        .or(page.getByRole("button", { name: tag }))
        .first()
        .waitFor({ state: "attached" });
    expect(foreign).toEqual([]);
    expect(problems).toEqual([]);
  },
  300_000,
);
