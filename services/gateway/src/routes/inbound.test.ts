import { afterAll, beforeAll, expect, test } from "bun:test";
import { InboundContents } from "@tyto/contracts";
import { internal } from "@tyto/convex/api";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
let storage: Bun.Server<undefined>;
let cookie: string;
/** By the path under which Convex keeps them. */
const files = new Map<string, Uint8Array<ArrayBuffer>>();

beforeAll(async () => {
  storage = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const file = files.get(new URL(request.url).pathname);
      return file === undefined ? new Response("", { status: 404 }) : new Response(file);
    },
  });
  gateway = await startTestGateway({ config: { convexUrl: `http://127.0.0.1:${storage.port}` } });
  cookie = await gateway.signIn();
});
afterAll(async () => {
  await gateway.stop();
  await storage.stop(true);
});

const get = (path: string, headers: Record<string, string> = { cookie }) =>
  gateway.request(`/api/inbound/${path}`, { headers });

/** Keeps a message as the recorder does. */
async function keep(rawId: string, mail: string) {
  const content = new Uint8Array(Buffer.from(mail.replaceAll("\n", "\r\n")));
  const url = await gateway.convex.run(async (ctx) => {
    const storageId = await ctx.storage.store(new Blob([content]));
    await ctx.runMutation(internal.inbound.keepRawFiles, {
      files: [{ rawId, storageId, bytes: content.length }],
    });
    return await ctx.storage.getUrl(storageId);
  });
  if (url === null) throw new Error("not stored");
  files.set(new URL(url).pathname, content);
  return content.length;
}

const mail = `From: Eve <eve@else.test>
To: support@sender.test
Subject: Lamps
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<p>Two lamps</p><script>alert(1)</script><img src="https://else.test/a.png">
--b
Content-Type: text/html; name="=?UTF-8?Q?b=C3=B6se=22.html?="
Content-Disposition: attachment

<script>alert(1)</script>
--b--
`;

test("a received message is opened: people, text, header fields, files", async () => {
  const bytes = await keep("raw1", mail);
  for (const id of ["raw1", "raw1-0"]) {
    const answer = await get(id);
    expect(answer.status).toBe(200);
    expect(InboundContents.parse(await answer.json())).toMatchObject({
      ...{ from: "Eve <eve@else.test>", to: "support@sender.test", subject: "Lamps", text: "Two lamps" },
      ...{ is_text_of_html: true, has_html: true, has_remote_images: true, is_whole: true, bytes },
      attachments: [{ name: 'böse".html', type: "text/html", bytes: 25 }],
    });
  }
});

test("its HTML is a page that can do nothing, with images from elsewhere when they are asked for", async () => {
  const answer = await get("raw1/html");
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(answer.headers.get("content-security-policy")).toMatch(/^sandbox allow-popups .*default-src 'none'/);
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  const page = await answer.text();
  expect(page).toContain("<p>Two lamps</p><img>");
  const asked = await get("raw1/html?images=remote");
  expect(asked.headers.get("content-security-policy")).toContain("img-src data: https: http:");
  expect(await asked.text()).toContain('<img src="https://else.test/a.png">');
});

test("a file of it is a download and never a page, whatever its sender calls it", async () => {
  const answer = await get("raw1/files/0");
  expect(await answer.text()).toBe("<script>alert(1)</script>");
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "content-disposition": "attachment; filename*=UTF-8''b%C3%B6se%22.html",
    "content-security-policy": "sandbox; default-src 'none'",
  });
  for (const file of ["1", "-1", "x"]) expect((await get(`raw1/files/${file}`)).status).toBe(404);
});

test("404 for what is not stored, and for HTML where there is none", async () => {
  expect(await (await get("raw9")).json()).toMatchObject({ code: "resource.unknown" });
  await keep("raw2", "Subject: plain\n\ntext\n");
  expect((await get("raw2")).status).toBe(200);
  expect((await get("raw2/html")).status).toBe(404);
});

test("400 for a message that nobody can take apart", async () => {
  const nested = Array.from(
    { length: 40 },
    (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\n\n--b${at}\n`,
  ).join("");
  await keep("raw3", nested);
  const answer = await get("raw3");
  expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([
    400,
    "This message is nested too deeply to be taken apart; its source can be read",
  ]);
});

test("401 without a session, also with an API key", async () => {
  const key = { authorization: `Bearer ${await gateway.key("admin")}` };
  for (const headers of [{}, key] as Record<string, string>[])
    for (const path of ["raw1", "raw1/html", "raw1/files/0"])
      expect((await get(path, headers)).status).toBe(401);
});
