import { describe, expect, test } from "bun:test";
import { readMessage, type Understood, understand } from "./index.ts";
import { type Case, factsOf } from "./understand.testing.ts";

const folders = [
  "complaints",
  "unsubscribes",
  "auto-replies",
  "challenges",
  "dmarc",
  "tls",
  "replies-by-people",
  "mail",
  "unclear",
];
/** Long lists are told by their length, so that the expectation can be read. */
const short = (understood: Understood) => {
  if (understood.kind !== "dmarc-report") return understood;
  const reports = understood.reports.map(({ rows, ...report }) => ({
    ...report,
    rows: rows.length > 5 ? `${rows.length} rows` : rows,
  }));
  return { ...understood, reports };
};

for (const folder of folders)
  describe(folder, () => {
    const directory = `${import.meta.dir}/../fixtures/${folder}`;
    for (const file of [...new Bun.Glob("*.eml").scanSync(directory)].sort())
      test(file.slice(0, -4).replaceAll("-", " "), async () => {
        const path = `${directory}/${file.slice(0, -4)}.json`;
        const given: Case = await Bun.file(path).json();
        const message = readMessage(await Bun.file(`${directory}/${file}`).bytes());
        if (message === undefined) throw new Error(`${file} exceeds what is read of a message`);
        const understood = short(understand(message, factsOf(given.envelope)));
        if (process.env.UPDATE === "1")
          await Bun.write(path, `${JSON.stringify({ ...given, understood }, null, 2)}\n`);
        else expect(JSON.parse(JSON.stringify(understood))).toEqual(given.understood as never);
      });
  });
