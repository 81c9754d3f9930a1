/**
 * The dashboard in Chromium: a first visit makes the account, and bounces show up on the open page by themselves, those
 * that Postfix reports after it accepted the mail, too.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { freePort } from "../parts/ports.ts";
import { type Postfix, startPostfix } from "../parts/postfix.ts";
import { until } from "../parts/until.ts";

const skip = missing("dashboard flow", needs.postfix(), needs.nats(), needs.clamd(), needs.chromium());
const flags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

describe.skipIf(skip)("the dashboard", () => {
  let postfix: Postfix;
  let tyto: Installation;
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    // Each side has to know the other's port before it starts.
    const bouncePort = await freePort();
    postfix = await startPostfix({
      mailboxes: ["bob@good.test"],
      failingLate: ["late.test"],
      refusingLate: { "full.test": "5.2.2 Mailbox full" },
      routes: { "bounces.sender.test": `127.0.0.1:${bouncePort}` },
    });
    tyto = await startInstallation({
      routes: { "*": postfix.address },
      env: { RETRY_FIRST_S: "1", BOUNCE_PORT: String(bouncePort) },
    });
    await tyto.addDomain("sender.test");
    browser = await chromium.launch({ executablePath: Bun.which("chromium") ?? "chromium", args: flags });
    context = await browser.newContext({ locale: "en-US" });
    context.setDefaultTimeout(300_000);
  }, 300_000);

  afterAll(async () => {
    await browser?.close();
    await tyto?.stop();
    await postfix?.stop();
  }, 300_000);

  test("shows nothing without signing in, makes the account, and shows a bounce without reload", async () => {
    const page = await context.newPage();
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
    await page.getByText("Owl post").first().waitFor({ timeout: 60_000 });
    await page.getByText("Owl post").first().click();
    await page.waitForURL(new RegExp(id));
    await page
      .getByText(/5\.1\.1/)
      .first()
      .waitFor({ timeout: 60_000 });
    await until("the page says that it bounced", async () =>
      /bounced/i.test((await page.getByRole("main").textContent()) ?? ""),
    );
    expect(outside).toEqual([]);
    await page.close();
  }, 600_000);

  test("mail that Postfix accepts and bounces later: the open pages show the bounce, its reason and whose fault it was", async () => {
    const bounces = await context.newPage();
    const suppressions = await context.newPage();
    await bounces.goto(`${tyto.webUrl}/bounces`);
    await bounces.getByText("Latest bounces").waitFor({ timeout: 60_000 });
    await suppressions.goto(`${tyto.webUrl}/suppressions?search=gone`);
    await suppressions.getByText("No such address here").waitFor({ timeout: 60_000 });

    const late = (to: string, subject: string) =>
      tyto.send({ from: "Ann <ann@sender.test>", to, subject, text: "x" });
    const id = await late("gone@late.test", "To one who left");
    const fullId = await late("mia@full.test", "To a full mailbox");
    const row = (address: string) => bounces.getByRole("listitem").filter({ hasText: address });
    const gone = row("gone@late.test");
    await gone.getByText("The mailbox does not exist").waitFor({ timeout: 60_000 });
    await gone.getByText("for good").waitFor();
    const full = row("mia@full.test");
    await full.getByText("The mailbox is full").waitFor({ timeout: 60_000 });
    await full.getByText("for now").waitFor();
    await suppressions.getByText("gone@late.test", { exact: true }).waitFor({ timeout: 60_000 });
    const list = (await (await tyto.call("GET", "/v1/suppressions")).json()) as {
      data: { address: string }[];
    };
    expect(
      list.data.map(({ address }) => address).filter((address) => !address.endsWith("@good.test")),
    ).toEqual(["gone@late.test"]);

    await full.getByRole("link", { name: /Open the received message/ }).click();
    await bounces.waitForURL("**/inbound/*");
    await bounces.getByRole("tab", { name: "Source" }).click();
    await bounces
      .getByRole("tabpanel", { name: "Source" })
      .getByText("Reporting-MTA: dns; mx.postfix.test")
      .waitFor({ timeout: 60_000 });
    await bounces.goBack();
    await gone.getByRole("link", { name: "To one who left", exact: true }).click();
    await bounces.waitForURL(`**/messages/${id}`);
    const timeline = bounces
      .getByRole("list")
      .filter({ hasText: "The receiving server accepted the message." });
    await timeline.getByText("The mailbox does not exist").waitFor({ timeout: 60_000 });
    const events = (await tyto.message(fullId)).timeline.map(({ event }) => event);
    expect(events.filter((event) => event === "mail.delivered" || event === "mail.bounced")).toEqual([
      "mail.delivered",
      "mail.bounced",
    ]);
  }, 600_000);
});
