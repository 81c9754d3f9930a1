import { expect, test } from "bun:test";
import { type Entry, frameEntries } from "@tyto/convex-local/backup";
import { isEntryName, once, readContents, writeContents } from "./contents.ts";

const about = { createdAt: "2026-01-02T03:04:05.000Z", tyto: "0.1.0", hasQueue: false };
const uuid = "00000000-0000-4000-8000-000000000000";
const entry = (name: string, text: string): Entry => ({
  name,
  bytes: Buffer.byteLength(text),
  content: once(Buffer.from(text)),
});
async function* some(...entries: Entry[]) {
  yield* entries;
}
const all = async (chunks: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(chunks));

async function read(bytes: Uint8Array): Promise<{ texts: Record<string, string>; count: number }> {
  const texts: Record<string, string> = {};
  const manifest = await readContents(once(bytes), async ({ name, content }) => {
    texts[name] = (await all(content)).toString();
  });
  return { texts, count: manifest.entries.length };
}

test("entries come back, with a list of their sums", async () => {
  const bytes = await all(
    writeContents(
      some(entry("installation/secrets.env", "A=1\n"), entry(`convex/storage/${uuid}`, "")),
      about,
    ),
  );
  expect(await read(bytes)).toEqual({
    texts: { "installation/secrets.env": "A=1\n", [`convex/storage/${uuid}`]: "" },
    count: 2,
  });
});

test("a list that is not that of the contents is noticed, and so is a missing one", async () => {
  const bytes = await all(writeContents(some(entry("installation/secrets.env", "A=1\n")), about));
  const changed = Buffer.from(bytes.toString("latin1").replace("A=1", "A=2"), "latin1");
  await expect(read(changed)).rejects.toThrow("not those of its list");
  const bare = await all(frameEntries(some(entry("installation/secrets.env", "A=1\n"))));
  await expect(read(bare)).rejects.toThrow("no list");
  await expect(read(bytes.subarray(0, -5))).rejects.toThrow("damaged");
  await expect(read(Buffer.concat([bytes, Buffer.from("x")]))).rejects.toThrow("damaged");
});

test("no name leads out of the data folder", () => {
  for (const good of [
    "installation/secrets.env",
    "installation/bounce/key.pem",
    `convex/storage/${uuid}`,
    "nats/jetstream/$G/streams/EVENTS/msgs/1.blk",
  ])
    expect(isEntryName(good)).toBe(true);
  for (const bad of [
    "",
    "/etc/passwd",
    "../x",
    "installation/../../x",
    "installation/bounce/../x",
    "nats/../x",
    "nats/..",
    "nats//x",
    "nats/.",
    "convex/storage/../x",
    "installation/bounce/..",
    "convex/convex.sqlite3/x",
    "a\0b",
  ])
    expect(isEntryName(bad)).toBe(false);
});

test("an entry that has no place in a backup is refused when it is read", async () => {
  const bytes = await all(frameEntries(some(entry("../../etc/cron.d/x", "boom"))));
  await expect(read(bytes)).rejects.toThrow("no place");
});
