/** The dashboard in Chromium: a first visit makes the account, and a bounce shows up on the open page by itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, chromium } from "playwright-core";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { type Postfix, startPostfix } from "../parts/postfix.ts";

const skip = missing("dashboard flow", needs.postfix(), needs.nats(), needs.clamd(), needs.chromium());
const flags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

describe.skipIf(skip)("the dashboard", () => {
  let postfix: Postfix;
  let tyto: Installation;
  let browser: Browser;

  beforeAll(async () => {
    postfix = await startPostfix({ mailboxes: ["bob@good.test"] });
    tyto = await startInstallation({ routes: { "*": postfix.address }, env: { RETRY_FIRST_S: "1" } });
    await tyto.addDomain("sender.test");
    browser = await chromium.launch({ executablePath: Bun.which("chromium") ?? "chromium", args: flags });
  }, 300_000);

  afterAll(async () => {
    await browser?.close();
    await tyto?.stop();
    await postfix?.stop();
  }, 60_000);

  test("shows nothing without signing in, makes the account, and shows a bounce without reload", async () => {
    const page = await browser.newPage();
    const outside: string[] = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(tyto.webUrl) && !/^(data|blob):/.test(request.url()))
        outside.push(request.url());
    });
    await page.goto(`${tyto.webUrl}/messages`);
    await page.getByLabel(/^name/i).fill("Ann Admin");
    await page.getByLabel(/e-?mail/i).fill("ann@sender.test");
    await page
      .getByLabel(/^password/i)
      .first()
      .fill("correct horse battery");
    await page.getByRole("button", { name: /create/i }).click();
    await page.getByRole("navigation").first().waitFor();
    await page.goto(`${tyto.webUrl}/messages`);

    const id = await tyto.send({
      from: "Ann <ann@sender.test>",
      to: "nobody@good.test",
      subject: "Owl post",
      text: "x",
    });
    await page.getByText("Owl post").first().waitFor({ timeout: 20_000 });
    await page.getByText("Owl post").first().click();
    await page.waitForURL(new RegExp(id));
    await page
      .getByText(/5\.1\.1/)
      .first()
      .waitFor({ timeout: 20_000 });
    const shown = await page.getByRole("main").textContent();
    expect(shown).toMatch(/bounced/i);
    expect(outside).toEqual([]);
    await page.close();
  }, 120_000);
});
