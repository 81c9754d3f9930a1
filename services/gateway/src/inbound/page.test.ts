import { expect, test } from "bun:test";
import { framePage, framePolicy, hasRemoteImages } from "./page.ts";

const none = { remoteImages: false };
const body = (html: string, ...rest: [files?: Parameters<typeof framePage>[1], options?: typeof none]) =>
  framePage(html, rest[0] ?? [], rest[1] ?? none)
    .split("</style>")
    .at(-1);
const logo = {
  type: "image/png",
  name: "logo.png",
  contentId: "logo@else.test",
  bytes: Uint8Array.of(1, 2, 3),
};

test("what people read stays, what runs, loads or submits goes", () => {
  expect(
    body(
      '<h1>Hi</h1><script>x</script><form action="/a"><b>form</b></form><iframe src="//e.test">x</iframe><base href="//e.test"><meta http-equiv="refresh" content="0"><link rel="dns-prefetch" href="//e.test"><img src="https://e.test/a.png" srcset="b 2x" alt="Logo">',
    ),
  ).toBe('<h1>Hi</h1><b>form</b><img alt="Logo">');
});

test("a link opens in a tab of its own, and only where links may lead", () => {
  const attributes = 'target="_blank" rel="noopener noreferrer"';
  expect(body('<a href="https://e.test" target="_top">x</a>')).toBe(
    `<a href="https://e.test" ${attributes}>x</a>`,
  );
  for (const href of ["javascript:alert(1)", " java\nscript:x", "data:text/html,x", "/v1/emails", "blob:x"])
    expect(body(`<a href="${href}">x</a>`)).toBe(`<a ${attributes}>x</a>`);
});

test("images inside the message are shown, those elsewhere when somebody asks", () => {
  expect(body('<img src="cid:logo@else.test">', [logo])).toBe('<img src="data:image/png;base64,AQID">');
  expect(body('<img src="cid:logo%40else.test">', [logo])).toBe('<img src="data:image/png;base64,AQID">');
  expect(body('<img src="cid:other">', [logo])).toBe("<img>");
  expect(body('<img src="cid:logo@else.test">', [{ ...logo, type: "text/html" }])).toBe("<img>");
  expect(body('<img src="https://e.test/a.png">', [], { remoteImages: true })).toBe(
    '<img src="https://e.test/a.png">',
  );
  expect(framePolicy(none)).toContain("img-src data:;");
  expect(framePolicy({ remoteImages: true })).toContain("img-src data: https: http:;");
});

test("images inside the message are shown up to a bound, however often the page names them", () => {
  const large = { ...logo, bytes: new Uint8Array(3 * 1_048_576) };
  const page = framePage('<img src="cid:logo@else.test">'.repeat(100), [large], none);
  expect(page.length).toBeLessThan(12 * 1_048_576);
});

test("images elsewhere are told from those inside, in elements and in styles", () => {
  for (const html of [
    '<img src="https://e.test/a">',
    "<IMG SRC = //e.test/a>",
    "<td background='http://e.test'>",
    '<p style="background:url( https://e.test/a )">',
  ])
    expect({ html, has: hasRemoteImages(html) }).toEqual({ html, has: true });
  for (const html of [
    '<img src="cid:a">',
    '<a href="https://e.test">',
    '<img src="data:image/png;base64,//">',
  ])
    expect({ html, has: hasRemoteImages(html) }).toEqual({ html, has: false });
});
