import { expect, test } from "bun:test";
import { api, internal } from "./_generated/api";
import { asGateway, asUser, noon, sample, startConvex, type TestDeployment } from "./samples.testing.ts";

const everything = { paginationOpts: { numItems: 10, cursor: null } };
const received = (index: number) =>
  sample("mail.received", { id: `in${index}.received`, inboundId: `in${index}`, at: noon + index });
const upload = (t: TestDeployment, rawId: string) =>
  t.run(async (ctx) => {
    const storageId = await ctx.storage.store(new Blob(["Subject: hi\r\n\r\n"]));
    return { rawId, storageId, bytes: 15 };
  });

test("received mail is listed newest first, with its file whichever of the two came first", async () => {
  const t = startConvex();
  await t.mutation(internal.inbound.keepRawFiles, { files: [await upload(t, "in1")] });
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([received(1), received(2), received(3)]),
  });
  await t.mutation(internal.inbound.keepRawFiles, { files: [await upload(t, "in2")] });
  const { page } = await (await asUser(t)).query(api.inbound.list, everything);
  expect(page.map(({ inboundId, rawUrl }) => [inboundId, rawUrl !== undefined])).toEqual([
    ["in3", false],
    ["in2", true],
    ["in1", true],
  ]);
  expect(page[0]).toMatchObject({ kind: "mail", subject: "A question", envelopeTo: "hello@example.com" });
});

test("of two files for one message the first stays and the second is thrown away", async () => {
  const t = startConvex();
  const first = await upload(t, "in1");
  const second = await upload(t, "in1");
  expect(await t.mutation(internal.inbound.keepRawFiles, { files: [first, first, second] })).toBe(1);
  const files = await t.run((ctx) => ctx.db.system.query("_storage").collect());
  expect(files.map(({ _id }) => _id)).toEqual([first.storageId]);
  expect(await t.query(internal.inbound.storedRaws, { rawIds: ["in1", "in2"] })).toEqual(["in1"]);
});

test("a reply is listed with the message that it answers and the first words of its own, none of them cut", async () => {
  const t = startConvex();
  const reply = sample("mail.received", { id: "in1.received", inboundId: "in1-0", kind: "reply", at: noon });
  const replied = sample("mail.replied", { rawId: "in1", text: "unforgettable ".repeat(100) });
  await t.mutation(internal.record.apply, { events: JSON.stringify([reply, received(2), replied]) });
  const { page } = await (await asUser(t)).query(api.inbound.list, everything);
  expect(page.map(({ messageId, text }) => [messageId, text])).toEqual([
    [undefined, undefined],
    [replied.payload.messageId, `${Array.from({ length: 21 }, () => "unforgettable").join(" ")}…`],
  ]);
});

test("one received message is found by its own id, and by that of the raw message", async () => {
  const t = startConvex();
  const share = (to: number) =>
    sample("mail.received", {
      id: `in1-${to}.received`,
      inboundId: `in1-${to}`,
      envelopeTo: `${to}@example.com`,
      at: noon,
    });
  await t.mutation(internal.record.apply, { events: JSON.stringify([share(1), share(0)]) });
  await t.mutation(internal.inbound.keepRawFiles, { files: [await upload(t, "in1")] });
  const user = await asUser(t);
  const get = (inboundId: string) => user.query(api.inbound.get, { inboundId });
  expect(await get("in1-1")).toMatchObject({ envelopeTo: "1@example.com", rawUrl: expect.any(String) });
  expect(await get("in1")).toMatchObject({ inboundId: "in1-0" });
  expect(await get("in2")).toBeNull();
});

test("the gateway learns where a raw message lies once it is stored", async () => {
  const t = startConvex();
  const ask = () => asGateway(t).query(api.service.rawUrl, { id: "in1-0" });
  expect(await ask()).toBeNull();
  await t.mutation(internal.inbound.keepRawFiles, { files: [await upload(t, "in1")] });
  expect(await ask()).toMatch(/\/api\/storage\//);
});
