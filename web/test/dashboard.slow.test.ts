/**
 * The pages in Chromium, on a whole installation: what a person does from the first visit on, in one browser, on real
 * services and live data. Nothing here reloads a page to see a change.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AxeBuilder } from "@axe-core/playwright";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { complaintAbout } from "../../test/parts/complaint.ts";
import { type Installation, startInstallation } from "../../test/parts/installation.ts";
import { missing, needs } from "../../test/parts/missing.ts";
import { deliver } from "../../test/parts/smtp-client.ts";
import { until } from "../../test/parts/until.ts";
import { dmarcReport, field, letter, reportMail, tlsReport } from "./mails.ts";
import { type Remote, startRemote } from "./remote.ts";

const skip = missing("the dashboard's pages", needs.nats(), needs.clamd(), needs.chromium());
const account = { name: "Ann Admin", email: "ann@sender.test", password: "correct horse battery" };
const flags = [
  ...["--no-sandbox", "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

describe.skipIf(skip)("the dashboard", () => {
  let remote: Remote;
  let dns: DnsServer;
  let tyto: Installation;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  /** What must never happen on any page: requests to elsewhere, scripts that the policy stops, errors nobody caught. */
  const faults: string[] = [];

  function watchOver(one: Page): Page {
    one.on("request", (request) => {
      if (!request.url().startsWith(tyto.webUrl) && !/^(data|blob):/.test(request.url()))
        faults.push(`request to ${request.url()}`);
    });
    one.on("console", (line) => {
      if (/content security policy/i.test(line.text())) faults.push(line.text());
    });
    one.on("pageerror", (error) => faults.push(String(error)));
    return one;
  }
  const open = (path: string) => page.goto(`${tyto.webUrl}${path}`);
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: true });
  const inDialog = (name: string) => page.getByRole("dialog").getByRole("button", { name, exact: true });
  const see = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 60_000 });
  const send = (to: string | string[], subject: string, more: Record<string, unknown> = {}) =>
    tyto.send({ from: "Shop <shop@sender.test>", to, subject, text: "Hello", ...more });

  beforeAll(async () => {
    remote = startRemote();
    dns = await startDns();
    tyto = await startInstallation({
      routes: { "*": remote.address },
      dnsServers: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      env: { RETRY_FIRST_S: "60" },
    });
    browser = await chromium.launch({
      executablePath: Bun.which("chromium") ?? Bun.which("chromium-browser") ?? "chromium",
      args: flags,
    });
    context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(300_000);
    page = watchOver(await context.newPage());
  }, 300_000);

  afterAll(async () => {
    await browser?.close();
    await tyto?.stop();
    await dns?.stop();
    remote?.stop();
  }, 300_000);

  test("a first visit to any page asks for an account, and says what is wrong with it", async () => {
    await open("/messages");
    await page.waitForURL("**/setup");
    await page.getByLabel("Name").fill(account.name);
    await page.getByLabel("Email").fill("ann");
    await button("Create account").click();
    await see("Enter an address such as ann@example.com");
    await see("Use at least 12 characters");
    // The first wrong field has the focus, so that its words are read out.
    await page.locator("input[type=email]:focus").waitFor();
    await page.getByLabel("Email").fill(account.email);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await button("Create account").click();
    await see("Send your first mail");
    await see("0 of 4 done");
  }, 300_000);

  test("a domain is added, and its records appear as soon as its keys are made", async () => {
    await page.getByRole("link", { name: "Add a domain" }).click();
    await page.getByRole("dialog").getByLabel("Domain").fill("https://Sender.test/");
    await inDialog("Add a domain").click();
    await page.waitForURL("**/domains/sender.test");
    await see("DKIM · RSA");
    await see("DKIM · Ed25519");
    await see("bounces.sender.test");
    await see("Waiting for DNS");
    await see("Nothing was found at this name.");

    dns.set("bounces.sender.test", { TXT: ["v=spf1 -all"] });
    await button("Check now").click();
    await see("DNS does not show them all yet.");
    await see("Found instead:");
    await page.getByText("v=spf1 -all", { exact: true }).waitFor();
    await button("Zone file").click();
    await page
      .getByRole("dialog")
      .getByText(/bounces\.sender\.test\. +3600 IN MX +10 mail\.tyto\.test\./)
      .waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await open("/");
    await page.getByRole("link", { name: "Publish its DNS records" }).click();
    await page.waitForURL("**/domains/sender.test");
  }, 300_000);

  test("a wrong domain is named next to its field, a second one by the gateway", async () => {
    await open("/domains?add=1");
    await page.getByRole("dialog").getByLabel("Domain").fill("not a domain");
    await inDialog("Add a domain").click();
    await see("Enter a domain such as example.com");
    await page.getByRole("dialog").getByLabel("Domain").fill("sender.test");
    await inDialog("Add a domain").click();
    await see("This domain is set up already");
  }, 300_000);

  test("a key is shown once, works, and ends when it is revoked", async () => {
    await open("/api-keys?add=1");
    await page.getByRole("dialog").getByLabel("Name").fill("Web shop");
    await inDialog("Create a key").click();
    await see("Save this key now");
    const key = ((await page.getByRole("region", { name: "Copy the key" }).textContent()) ?? "").trim();
    expect(key).toMatch(/^tyto_[0-9A-Za-z]{32,}$/);
    await inDialog("I have saved it").click();
    await see("never used");
    expect(await page.getByText(key).count()).toBe(0);

    const asShop = () =>
      fetch(`${tyto.apiUrl}/v1/emails`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ from: "a@sender.test", to: "bob@remote.test", subject: "By key", text: "x" }),
      });
    // The key reaches the gateway by way of Convex and the recorder.
    await until("the key is known", async () => (await asShop()).status === 202);
    await button("Revoke Web shop").click();
    await inDialog("Revoke").click();
    await see("No API keys yet");
    await until("the key is unknown", async () => (await asShop()).status === 401);
  }, 300_000);

  test("a test mail from the page is seen on its way, with the other server's reply and how it was spoken to", async () => {
    await open("/send");
    await page.getByLabel("To", { exact: true }).fill("bob@nowhere");
    await button("Send").click();
    await see("Every recipient has to look like ann@example.com");
    await page.getByLabel("To", { exact: true }).fill("bob@remote.test");
    await see("The DNS records of sender.test are not all published yet");
    await button("Send").click();
    await see("Tyto has accepted the message");
    await see("250 2.0.0 Ok: queued as 4XkT2p1Mz9");
    await button("Technical details").last().click();
    await see("not encrypted");
    await see("_domainkey.sender.test (rsa-sha256)");
    await page.getByRole("link", { name: "Open the message" }).click();
    await see("The receiving server accepted it.");
  }, 300_000);

  test("what the gateway finds wrong stands next to the field", async () => {
    await open("/send");
    await page.getByLabel("Tags").fill("no spaces");
    await page.keyboard.press("Enter");
    await button("Send").click();
    await see("letters, digits and _ . : - only");
    await see("The request is not valid");
  }, 300_000);

  test("a bounce shows on the open list, and its address among the suppressed, without a reload", async () => {
    await open("/suppressions");
    await see("Nobody is suppressed");
    const list = watchOver(await context.newPage());
    await list.goto(`${tyto.webUrl}/messages`);
    await list.getByText("A test from Tyto").waitFor();
    const id = await send("nobody@remote.test", "To nobody");
    await list.getByText("To nobody").waitFor();
    await list.getByText("550 5.1.1 User unknown in virtual mailbox table").waitFor();
    await list.close();
    await see("nobody@remote.test");
    await see("Hard bounce");
    await page.getByRole("link", { name: "Show message" }).click();
    await page.waitForURL(`**/messages/${id}`);
    await see("The mailbox does not exist");
    await see("Tyto sends this address nothing more");
    await page.getByRole("link", { name: "See the suppression list" }).click();
    await page.waitForURL(/suppressions\?search=nobody(@|%40)remote\.test/);

    await open("/send");
    await page.getByLabel("To", { exact: true }).fill("nobody@remote.test");
    await button("Send").click();
    await see("Every recipient is on the suppression list");
    await see("Allow an address again only if its owner asked for it.");
    expect(await page.getByText("/v1/suppressions").count()).toBe(0);
    await page.getByRole("link", { name: "See the suppression list" }).click();
    await page.waitForURL("**/suppressions");

    await open("/suppressions?search=nobody");
    await button("Allow mail to nobody@remote.test again").click();
    await inDialog("Allow mail again").click();
    await see("No such address here");
  }, 300_000);

  test("filters are held in the address of the page", async () => {
    await send("later@remote.test", "Come back later", { tags: ["greeting"] });
    await open("/messages");
    await see("Come back later");
    await button("Bounced").click();
    await page.waitForURL("**/messages?status=bounced");
    await page.getByText("Come back later").waitFor({ state: "detached" });
    await see("To nobody");
    await page.reload();
    await see("To nobody");
    expect(await page.getByText("Come back later").count()).toBe(0);
    await open("/messages?tag=greeting&recipient=later@remote.test");
    await see("Come back later");
    expect(await page.getByText("To nobody").count()).toBe(0);
    for (const text of ["lat", "later@", "@remote", "come la"]) {
      await page.getByRole("textbox", { name: "Address, @domain or subject" }).fill(text);
      await page.waitForURL((url) => url.searchParams.get("recipient") === text);
      await see("Come back later");
      await page.getByText("To nobody").waitFor({ state: "detached" });
    }
    await open("/messages?recipient=somebody@else.test");
    await see("No message matches");
    await see("Found are addresses of recipients by their beginning");
    await page.getByRole("main").getByRole("button", { name: "Clear", exact: true }).last().click();
    await see("To nobody");
  }, 300_000);

  test("a scheduled message says when it leaves, and can be called back", async () => {
    const leaves = new Date(Date.now() + 3_600_000).toISOString();
    const id = await send("bob@remote.test", "Not yet", { scheduled_at: leaves });
    await open(`/messages/${id}`);
    await see(/Leaves in \d+ min/);
    await button("Cancel message").click();
    await inDialog("Cancel message").click();
    await see("It was cancelled before it left.");
  }, 300_000);

  test("a long list is loaded in pages, and the newest message comes on top", async () => {
    const ids = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        send("bob@remote.test", `Number ${index}`, { tags: ["many"] }),
      ),
    );
    // What is not recorded yet would come into the first page of an open list.
    for (const id of ids) await tyto.message(id, ({ status }) => status === "delivered");
    await open("/messages?tag=many");
    const rows = page.getByRole("main").getByRole("listitem");
    await see("Number");
    await button("Load more").click();
    await see("All 60 entries shown");
    await send("bob@remote.test", "The newest", { tags: ["many"] });
    await see("The newest");
    await rows.first().getByText("The newest").waitFor();
  }, 300_000);

  test("the chart tells the same in a sentence and as a table", async () => {
    await open("/");
    await see(/\d+ delivered in the last hour/);
    await button("View as table").click();
    await page.getByRole("columnheader", { name: "Bounced" }).waitFor();
    expect(await page.getByRole("row").count()).toBeGreaterThan(1);
  }, 300_000);

  test("the keyboard leads everywhere", async () => {
    await open("/");
    await see("Latest messages");
    await page.keyboard.press("g");
    await page.keyboard.press("d");
    await page.waitForURL("**/domains");
    await page.keyboard.press("?");
    await see("They work everywhere except while you type in a field.");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Search, or paste a message id").fill("suppr");
    await page.keyboard.press("Enter");
    await page.waitForURL(/suppressions/);
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Search, or paste a message id").fill("nobody@remote.test");
    await page.getByRole("option", { name: "Messages to nobody@remote.test" }).click();
    await page.waitForURL(/messages\?recipient=nobody(@|%40)remote\.test/);
    await see("To nobody");
    await open("/messages");
    await see("The newest");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/messages\/[0-9a-z]{26}/);
  }, 300_000);

  /** Hands a mail to our port; the service learns of new inboxes by way of Convex and the recorder. */
  const comesIn = (to: string, mail: string) =>
    until(`mail to ${to} is taken`, () =>
      deliver(tyto.bouncePort, { from: "d@provider.test", to }, mail).then(
        (reply) => reply.startsWith("250"),
        () => false,
      ),
    );
  /** Opens the page of the received message that the row on top leads to. */
  const openReceived = async () => {
    await page
      .getByRole("link", { name: /Open the received message/ })
      .first()
      .click();
    await page.waitForURL(/\/inbound\/[^?]+$/);
  };
  const part = (name: string | RegExp) => page.getByRole("tab", { name });

  test("an inbox is made for a domain of ours, says what to publish, and its mail shows by itself and opens", async () => {
    await open("/inbound");
    await see("Nothing received yet");
    await page.getByRole("link", { name: "Add an inbox" }).click();
    await page.waitForURL("**/inboxes");
    await see("No address takes mail yet");
    await button("Add an inbox").first().click();
    await page.getByRole("dialog").getByLabel("Address").fill("support");
    await inDialog("Add an inbox").click();
    await see("Enter an address such as support@example.com");
    await page.getByRole("dialog").getByLabel("Address").fill("support@elsewhere.test");
    await inDialog("Add an inbox").click();
    await see("elsewhere.test is not one of your domains yet");
    await page.getByRole("dialog").getByLabel("Address").fill(" Support@Sender.test ");
    await page.keyboard.press("Enter");
    await button("Remove the inbox support@sender.test").waitFor();
    await see("10 mail.tyto.test");

    await open("/inbound");
    await see("Nothing received yet");
    const mail =
      "From: Eve <eve@else.test>\nTo: support@sender.test\nSubject: <b>Lamps</b>\n\n<script>alert(1)</script>\n";
    await comesIn("support@sender.test", mail);
    await see("<b>Lamps</b>");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/inbound\/.+/);
    await page.getByRole("heading", { name: "<b>Lamps</b>" }).waitFor();
    await page.getByRole("tabpanel", { name: "Text" }).getByText("<script>alert(1)</script>").waitFor();
    expect(await part("HTML").count()).toBe(0);
    await part("Source").click();
    await page.getByRole("tabpanel", { name: "Source" }).getByText("Subject: <b>Lamps</b>").waitFor();
  }, 300_000);

  test("a letter with HTML and a file is read by its parts, in a frame without scripts, and its file is a download", async () => {
    await comesIn("support@sender.test", letter("support@sender.test"));
    await open("/inbound");
    await page.getByRole("link", { name: "The grüne Lampe" }).click();
    await page.getByRole("tabpanel", { name: "Text" }).getByText("Can the lamp be dimmed?").waitFor();
    const facts = page.getByRole("region", { name: "Details" });
    await facts.getByText("Eve Adams <eve@else.test>").waitFor();
    await facts.getByText("d@provider.test").waitFor();
    await part("HTML").focus();
    await page.keyboard.press("Enter");
    const mail = page.frameLocator("iframe[title='The HTML of the message']");
    await mail.getByRole("heading", { name: "The green lamp" }).waitFor();
    expect(await mail.locator("script, form").count()).toBe(0);
    await see("Images from elsewhere are not loaded");
    await part(/Attachments/).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download prices.csv" }).click(),
    ]);
    expect(await Bun.file(await download.path()).text()).toBe("lamp,40");
    expect(download.suggestedFilename()).toBe("prices.csv");
    await part("Header").click();
    await page.getByText("Message-ID", { exact: true }).waitFor();
    await page.getByText("<letter@else.test>").waitFor();
  }, 300_000);

  test("mail of one kind is shown alone, and what was not understood has its reason and the message", async () => {
    await open("/inbound");
    await button("Not understood").click();
    await page.waitForURL("**/inbound?kind=unclear");
    await see("Everything was understood");
    const damaged = dmarcReport("sender.test").subarray(0, 60);
    await comesIn(
      "dmarc@bounces.sender.test",
      reportMail("dmarc@bounces.sender.test", "sender.test", "dmarc", damaged),
    );
    await see(/a DMARC report whose file is damaged/);
    expect(await page.getByText("<b>Lamps</b>").count()).toBe(0);
    await page.getByRole("link", { name: /Submitter: provider\.test/ }).click();
    await part("Source").click();
    await page.getByRole("tabpanel", { name: "Source" }).getByText("Submitter: provider.test").waitFor();
    expect(await page.getByRole("link", { name: "Download (.eml)" }).getAttribute("href")).toMatch(
      /^\/convex\//,
    );
    await page.goBack();
    await button("More kinds").click();
    await page.getByRole("menuitemcheckbox", { name: "TLS report" }).click();
    await see("Nothing of this kind");
  }, 300_000);

  test("an answer and a complaint stand on the message's page, the complaint among the troubles, too", async () => {
    const id = await send("carl@remote.test", "Autumn news", { unsubscribe: true });
    const mail = await until("the mail arrives", async () => remote.mailTo("carl@remote.test"));
    await open(`/messages/${id}`);
    await see("The receiving server accepted it.");
    const head = `From: Carl <carl@remote.test>\nTo: support@sender.test\nSubject: Re: Autumn news\nMessage-ID: <1@remote.test>\nIn-Reply-To: ${field(mail, "Message-ID")}`;
    await comesIn(
      "support@sender.test",
      `${head}\n\nMore of it, please.\n\nOn Mon, Jan 5, 2026 at 1:00 PM Shop <shop@sender.test> wrote:\n> Hello\n`,
    );
    await see("Somebody replied to this message.");
    await page.getByRole("blockquote").getByText("More of it, please.", { exact: true }).waitFor();

    const [to = ""] = field(mail, "CFBL-Address").split(";");
    await comesIn(to, complaintAbout(mail, to));
    await see("The recipient complained, and their provider told us.");
    await button("Technical details").last().click();
    await see("Marked as spam");

    await open("/bounces?show=complaints");
    await see("1 complained. Most often: Marked as spam.");
    await page.getByRole("main").getByRole("link", { name: "Autumn news", exact: true }).waitFor();
    await openReceived();
    await part("Source").click();
    await see("Feedback-Type: abuse");
  }, 300_000);

  test("bounces are counted by reason and provider, and a click or a key shows those of one alone", async () => {
    await send("nobody@other.test", "To nobody there");
    await open("/bounces");
    await see(/2 bounced, 2 of them for good. Most often: The mailbox does not exist/);
    await see("To nobody there");
    await page.getByRole("combobox", { name: "Group by" }).click();
    await page.getByRole("option", { name: "Provider" }).click();
    await button("other.test").focus();
    await page.keyboard.press("Enter");
    await page.getByText("To nobody", { exact: true }).waitFor({ state: "detached" });
    await see("To nobody there");
    await button("Show all, not only: other.test").click();
    await page.getByText("To nobody", { exact: true }).waitFor();
    await page.getByRole("tab", { name: "Bounces", exact: true }).focus();
    await page.keyboard.press("ArrowRight");
    await page.waitForURL("**/bounces?show=complaints");
  }, 300_000);

  test("reports about a domain are summed up, told by source and by day, and open as they came", async () => {
    await open("/reports");
    await see("No DMARC reports");
    const to = (box: string) => `${box}@bounces.sender.test`;
    await comesIn(to("dmarc"), reportMail(to("dmarc"), "sender.test", "dmarc", dmarcReport("sender.test")));
    await see("7 mails in your name, 71.4% passed DMARC");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/reports/sender.test");
    await see("Receivers put 0 into spam and refused 2.");
    await page.getByRole("row", { name: /203\.0\.113\.66.* 2 0% 0 0 0 2/ }).waitFor();
    await button("View as table").click();
    await page.getByRole("row", { name: /, \d{4} 5 2$/ }).waitFor();
    await openReceived();
    await page.getByRole("heading", { name: /Report Domain: sender\.test/ }).waitFor();
    await see("DMARC report");
    await page.goBack();

    await page.getByRole("tab", { name: "TLS" }).click();
    await see("_smtp._tls.sender.test");
    await comesIn(to("tlsrpt"), reportMail(to("tlsrpt"), "sender.test", "tls", tlsReport("sender.test")));
    await see("10 connections reported, 90% of them encrypted as they should be.");
    await page
      .getByRole("row", { name: /The certificate has expired mail\.tyto\.test 198\.51\.100\.62 1/ })
      .waitFor();
  }, 300_000);

  test("an inbox that is removed takes nothing more", async () => {
    await open("/inboxes");
    await button("Remove the inbox support@sender.test").click();
    await inDialog("Remove inbox").click();
    await see("No address takes mail yet");
    await until("its mail is refused", () =>
      deliver(tyto.bouncePort, { from: "a@else.test", to: "support@sender.test" }, "Subject: x\n\nx\n").then(
        () => false,
        (refusal: unknown) => /550/.test(String(refusal)),
      ),
    );
  }, 300_000);

  test("what waits is told by site with its reason, and is counted before it is held, with the reason shown after", async () => {
    const id = await send("later@remote.test", "Wait for it");
    await open("/");
    await see("Latest messages");
    await page.keyboard.press("g");
    await page.keyboard.press("q");
    await page.waitForURL("**/queue");
    const site = remote.address.replace(":", "=");
    // A dialog that was opened from the menu gives the focus back to its button.
    const actions = button(`Actions for ${site}`);
    await actions.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("menuitem", { name: "Try now…" }).and(page.locator(":focus")).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: `Try mail for ${site} now?` }).waitFor();
    await page.keyboard.press("Escape");
    await actions.and(page.locator(":focus")).waitFor();
    await actions.click();
    await page.getByRole("menuitem", { name: "Hold…" }).click();
    const dialog = page.getByRole("dialog", { name: `Hold mail for ${site}?` });
    await dialog.getByText(/(1 entry waits|\d+ entries wait)/).waitFor();
    await dialog.getByRole("link", { name: "later@remote.test" }).first().waitFor();
    expect(await inDialog("Hold").isDisabled()).toBe(true);
    await dialog.getByLabel("Reason").fill("their hands are full");
    await page.keyboard.press("Enter");
    await see(`Site ${site} is held:`);
    await see("their hands are full");
    await page.getByRole("row", { name: new RegExp(`${site}.*Held`) }).waitFor();

    // The message says why it has not left, and Home that something is held.
    await open(`/messages/${id}`);
    await page.getByRole("region", { name: "Why it waits" }).getByText("their hands are full").waitFor();
    await open("/");
    await page.getByRole("region", { name: "Needs attention" }).getByText("their hands are full").waitFor();
    await page.getByRole("link", { name: `Site ${site} is held:` }).click();
    await page.waitForURL("**/queue");

    await button(`Release: Site ${site}`).click();
    await inDialog("Release").click();
    await page.getByText(`Site ${site} is held:`).waitFor({ state: "detached" });
    await page.getByRole("tab", { name: "Campaign" }).click();
    await page.waitForURL("**/queue?by=campaign");
    await page.getByRole("rowheader", { name: "(no campaign)" }).waitFor();
  }, 300_000);

  test("a domain's page tells its servers, limits and replies, and shows the dialogue as it comes until it is stopped", async () => {
    await open("/queue");
    await page.getByRole("searchbox").or(page.getByLabel("Look up a domain")).first().fill("Remote.test");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/queue/remote.test");
    await see("451 4.7.1 Greylisted, please try again");
    await see(remote.address);
    await button("Live").click();
    await see("Listening. The next session appears here by itself.");
    const log = page.getByRole("log");
    // The mta learns of a listener a moment later.
    await until("the dialogue is heard", async () => {
      await send("bob@remote.test", "Overheard");
      return (await log.getByText("RCPT TO:<bob@remote.test>").count()) > 0;
    });
    await log.getByText("250 2.0.0 Ok: queued as 4XkT2p1Mz9").first().waitFor();
    await button("Stop").click();
    await button("Live").waitFor();

    await open(`/queue/${encodeURIComponent(remote.address.replace(":", "="))}`);
    await see(/Looked up by way of \w+\.test/);
  }, 300_000);

  test("a site's limits are set by keyboard, above the ceiling only when it is said twice, and ended", async () => {
    await open("/queue/remote.test");
    const site = remote.address.replace(":", "=");
    await see("By itself Tyto opens at most");
    await button("Set limits…").focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: `Limits for ${site}` });
    await dialog.getByLabel("Messages", { exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await dialog.getByText("Enter messages, connections, or both").waitFor();
    // The field that was refused still has the focus.
    await page.keyboard.type("30");
    await dialog.getByLabel("Connections at a time").fill("1999");
    const above = dialog.getByRole("checkbox", { name: "Yes, more than Tyto gives by itself" });
    await above.waitFor();
    await page.keyboard.press("Enter");
    await dialog.getByText("Tick this, or enter less").waitFor();
    await above.press("Space");
    await dialog.getByLabel("Reason").fill("they agreed to more");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await see(`${site} gets at most 30/min · 1999 connections from each address:`);
    await see("they agreed to more");

    await button("Change limits…").click();
    await dialog.getByLabel("Connections at a time").fill("1");
    await above.waitFor({ state: "detached" });
    await inDialog("Set limits").click();
    await dialog.waitFor({ state: "detached" });
    await see(`${site} gets at most 30/min · 1 connection from each address:`);
    await button(`Release: Limits of ${site}`).click();
    await inDialog("Release").click();
    await page.getByText(`${site} gets at most`).waitFor({ state: "detached" });
    await button("Set limits…").waitFor();
  }, 300_000);

  test("limits that the gateway refuses say so at their field", async () => {
    await open("/queue/remote.test");
    const path = /\/v1\/sites\/[^/]+\/limits$/;
    // As if the page had learned of the ceiling before somebody lowered it.
    await page.route(path, (route) =>
      route.continue({ postData: JSON.stringify({ connections: 1_999, for_s: 900 }) }),
    );
    await button("Set limits…").click();
    await page.getByRole("dialog").getByLabel("Connections at a time").fill("2");
    await inDialog("Set limits").click();
    const field = page.getByRole("dialog").getByLabel("Connections at a time");
    await see(/is given \d+ connections from one address at most, and 1,999 is more/);
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    await page.getByRole("checkbox", { name: "Yes, more than Tyto gives by itself" }).waitFor();
    await page.unroute(path);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }, 300_000);

  test("addresses to send from are told with their pool, and rules with a dry run over past answers", async () => {
    await open("/sending");
    await see("1 of 1 in use");
    await see("mail.tyto.test");
    await open("/rules");
    await see("After 5 such answers within 5 min: stop sending to the site for 30 min.");
    await button("Try").click();
    await see(/answers? read\. No rule matches\./);
    await page.getByRole("tab", { name: "Own" }).click();
    await see("No such rule");
  }, 300_000);

  const pages = ["/", "/messages", "/send", "/domains", "/domains/sender.test", "/api-keys?add=1"];
  const more = ["/suppressions", "/suppressions?add=1", "/messages?status=refused"];
  const operation = ["/queue", "/queue?by=campaign", "/queue/remote.test", "/sending", "/rules"];
  const incoming = [
    ...["/inbound", "/inbound?kind=unclear", "/inbound?kind=challenge", "/inboxes", "/inboxes?add=1"],
    ...["/bounces", "/bounces?show=complaints", "/bounces?show=unsubscribes"],
    ...["/reports", "/reports/sender.test", "/reports/sender.test?show=tls", "/reports/nothing.test"],
  ];
  test.each([
    ["en-US", "light", 1280],
    ["de-DE", "dark", 390],
  ] as const)(
    "no page has a serious barrier (%s, %s, %d pixels wide)",
    async (locale, colorScheme, width) => {
      const barriers: string[] = [];
      const other = await browser.newContext({
        locale,
        colorScheme,
        viewport: { width, height: 900 },
        storageState: await context.storageState(),
      });
      const examine = async (tab: Page, path: string) => {
        // Of rules that hold nothing has to be told: on a long list that is most of the work.
        const { violations } = await new AxeBuilder({ page: tab })
          .setLegacyMode(true)
          .options({ resultTypes: ["violations"] })
          .analyze();
        for (const { impact, id, nodes } of violations)
          if (impact === "serious" || impact === "critical")
            barriers.push(`${path}: ${id} at ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
      };
      const audit = async (tab: Page, path: string) => {
        await tab.goto(`${tyto.webUrl}${path}`);
        await tab.locator("h1").waitFor();
        await tab.waitForLoadState("networkidle");
        await examine(tab, path);
      };
      other.setDefaultTimeout(300_000);
      const id = await send(["bob@remote.test", "nobody@remote.test"], "For two");
      // One page is looked at while another one still loads.
      const waiting = [...pages, ...more, ...incoming, ...operation, `/messages/${id}`];
      const one = watchOver(await other.newPage());
      const tabs = [one, watchOver(await other.newPage())];
      await Promise.all(
        tabs.map(async (tab) => {
          for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) await audit(tab, path);
        }),
      );
      await one.goto(`${tyto.webUrl}/inbound`);
      await one.getByRole("link", { name: "The grüne Lampe" }).click();
      await one.getByRole("tab").nth(4).waitFor();
      for (const at of [0, 1, 2, 3, 4]) {
        await one.getByRole("tab").nth(at).click();
        // Colours that are on their way are no colours to judge.
        await one.waitForFunction(() => {
          const leftOf = (part: string) => document.querySelector(part)?.getBoundingClientRect().left;
          const [tab, mark] = [leftOf("[role=tab][aria-selected=true]"), leftOf("[data-slot=indicator]")];
          return (
            tab !== undefined &&
            mark !== undefined &&
            Math.abs(tab - mark) < 2 &&
            document.getAnimations().length === 0
          );
        });
        await examine(one, `part ${at} of a received message`);
      }
      expect(await one.locator("html").getAttribute("lang")).toBe(locale);
      await other.clearCookies();
      await audit(one, "/sign-in");
      await other.close();
      expect(barriers).toEqual([]);
    },
    900_000,
  );

  test("the browser's language decides at each visit, until somebody chooses one", async () => {
    const visit = async (locale: string, before?: BrowserContext) => {
      const visitor = await browser.newContext({
        locale,
        ...(before === undefined ? {} : { storageState: await before.storageState() }),
      });
      const tab = watchOver(await visitor.newPage());
      await tab.goto(`${tyto.webUrl}/sign-in`);
      await tab.locator("h1").waitFor();
      return { visitor, tab, language: await tab.locator("html").getAttribute("lang") };
    };
    const first = await visit("en-US");
    const second = await visit("de-DE", first.visitor);
    expect([first.language, second.language]).toEqual(["en-US", "de-DE"]);
    await second.tab.getByRole("button", { name: "Sprache" }).click();
    await second.tab.getByRole("menuitemcheckbox", { name: "English" }).click();
    await second.tab.locator("html[lang=en-US]").waitFor();
    const third = await visit("de-DE", second.visitor);
    expect(third.language).toBe("en-US");
    for (const { visitor } of [first, second, third]) await visitor.close();
  }, 300_000);

  test("a lost connection is said, and what was missed is there when it is back", async () => {
    await open("/messages");
    await see("The newest");
    const convex = tyto.process("convex-local");
    if (convex === undefined) throw new Error("convex-local does not run");
    process.kill(convex.pid, "SIGKILL");
    await see("Reconnecting");
    await page.getByText("Reconnecting").waitFor({ state: "detached", timeout: 60_000 });
    await send("bob@remote.test", "After the outage");
    await see("After the outage");
  }, 300_000);

  test("a session that ended elsewhere leads to the sign-in page, and back", async () => {
    await open("/domains/sender.test");
    await see("DKIM · RSA");
    await context.clearCookies({ name: /session/ });
    await button("Check now").click();
    await page.waitForURL(/\/sign-in\?next=.*domains/);
    await page.getByLabel("Email").fill(account.email);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await button("Sign in").click();
    await page.waitForURL("**/domains/sender.test");
    await see("DKIM · RSA");
  }, 300_000);

  test("who signs out sees nothing more, and comes back to the page that was asked for", async () => {
    await open("/");
    await page.getByRole("button", { name: /Ann Admin/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.waitForURL("**/sign-in");
    await open("/messages?status=bounced");
    await page.waitForURL(/\/sign-in\?next=/);
    expect(await page.getByText("To nobody").count()).toBe(0);
    await page.getByLabel("Email").fill(account.email);
    await button("Sign in").click();
    await see("Enter your password");
    await page.locator("input[type=password]:focus").waitFor();
    await page.getByLabel("Password", { exact: true }).fill("wrong horse battery");
    await button("Sign in").click();
    await see("Email or password is wrong");
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await button("Sign in").click();
    await page.waitForURL("**/messages?status=bounced");
    await see("To nobody");
  }, 300_000);

  test("nothing was asked of any other host, stopped by the content policy, or thrown and not caught", () => {
    expect(faults).toEqual([]);
  });
});
