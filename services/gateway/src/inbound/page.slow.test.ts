/**
 * Hostile mails (fixtures/hostile-html) in Chromium, inside a page under the dashboard's own policy. Each is shown three ways:
 * as the gateway makes it; untouched, behind the policy alone; and bare, which proves that the case bites.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { frameSandbox } from "@tyto/contracts";
import { type Browser, chromium } from "playwright-core";
import { until } from "../../../../test/parts/until.ts";
import { contentPolicy } from "../spa.ts";
import { framePage, framePolicy } from "./page.ts";

const program = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
const folder = `${import.meta.dir}/../../fixtures/hostile-html`;
const cases = [...new Bun.Glob("*.html").scanSync(folder)].sort();
type Way = "made" | "policy" | "bare";

let browser: Browser;
let trap: Bun.Server<undefined>;
let ours: Bun.Server<undefined>;
/** Paths that were asked of the host that mails want to reach. */
let reached: string[] = [];

const isBare = (way: string | null) => way === "bare";
const frame = (way: string, name: string, images: string) =>
  `<iframe title="mail" ${isBare(way) ? "" : `sandbox="${frameSandbox}"`} style="width:600px;height:400px" src="/mail?way=${way}&case=${name}&images=${images}"></iframe>`;

async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const [way, name, images] = ["way", "case", "images"].map((key) => searchParams.get(key) ?? "");
  const html = { "content-type": "text/html; charset=utf-8" };
  if (pathname !== "/mail")
    return new Response(`<!doctype html><title>ours</title>${frame(way ?? "", name ?? "", images ?? "")}`, {
      headers: isBare(way ?? "") ? html : { ...html, "content-security-policy": contentPolicy([]) },
    });
  const mail = (await Bun.file(`${folder}/${name}`).text()).replaceAll("{{trap}}", trapUrl());
  const options = { remoteImages: images === "remote" };
  if (way === "bare") return new Response(mail, { headers: html });
  return new Response(way === "made" ? framePage(mail, [], options) : mail, {
    headers: { ...html, "content-security-policy": framePolicy(options) },
  });
}
const trapUrl = () => `http://127.0.0.1:${trap.port}`;

beforeAll(async () => {
  trap = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      reached.push(new URL(request.url).pathname);
      return new Response("", { headers: { "content-type": "image/svg+xml" } });
    },
  });
  ours = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  if (program !== null) browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await ours.stop(true);
  await trap.stop(true);
}, 30_000);

/** Opens the page, clicks into the middle of the mail, and tells what became of it. */
async function show(way: Way, name: string, images = "none") {
  reached = [];
  const context = await browser.newContext();
  const page = await context.newPage();
  const address = `http://127.0.0.1:${ours.port}/?way=${way}&case=${name}&images=${images}`;
  await page.goto(address, { waitUntil: "load" });
  await page.waitForLoadState("networkidle");
  if (page.url() === address) await page.mouse.click(300, 200);
  const isTaken = async () => page.url() !== address || (await page.title()) !== "ours";
  if (way === "bare") await until("the case bites", async () => reached.length > 0 || (await isTaken()));
  await page.waitForLoadState("networkidle");
  const inFrame = page.frames().find((one) => one !== page.mainFrame());
  const result = {
    isTaken: await isTaken(),
    frameUrl: inFrame === undefined ? undefined : new URL(inFrame.url()).pathname,
    reached: [...reached],
  };
  await context.close();
  return result;
}

describe.skipIf(program === null)("a hostile mail", () => {
  test.each(cases)(
    "%s reaches nothing, as the gateway makes it and by the policy alone",
    async (name) => {
      await show("bare", name);
      for (const way of ["made", "policy"] as const) {
        const { isTaken, frameUrl, reached } = await show(way, name);
        // A link that somebody clicks opens in a tab of its own: that is no load of the mail.
        const byClick = ["/link", "/base/page", "/favicon.ico"];
        const loaded = reached.filter((path) => !byClick.includes(path));
        expect({ way, isTaken, frameUrl, loaded }).toEqual({
          way,
          isTaken: false,
          frameUrl: "/mail",
          loaded: [],
        });
      }
    },
    300_000,
  );

  test("images are loaded from elsewhere when somebody asks, and still no scripts run", async () => {
    const { reached } = await show("made", "images.html", "remote");
    expect(reached).toContain("/img");
    expect(reached).toContain("/attribute");
    for (const path of ["/import.css", "/sheet.css", "/font", "/video", "/audio"])
      expect(reached).not.toContain(path);
    expect((await show("made", "handlers.html", "remote")).reached).toEqual([]);
  }, 300_000);
});
