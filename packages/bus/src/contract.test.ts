import { expect, test } from "bun:test";
import { subjects } from "@tyto/contracts";
import { sampleEntry, sampleEvent } from "../test/samples.ts";
import { readEntries, readEvents, writeEntry, writeEvent } from "./contract.ts";
import { readReply } from "./reader.ts";

test.each(subjects)("a %s comes back as it was written", (subject) => {
  const payload = sampleEvent(subject);
  const read = readEvents({ subject, data: writeEvent(subject, payload), headers: undefined })[0]?.event;
  expect(read).toEqual({ ok: true, value: { subject, payload } as never });
});

test("a subject that no contract has is a problem, not an error", () => {
  const data = writeEvent("mail.held", sampleEvent("mail.held"));
  for (const subject of ["mail.unknown", "toString", "__proto__", ""])
    expect(readEvents({ subject, data, headers: undefined })[0]?.event).toMatchObject({ ok: false });
});

/** Numbers from 0 to 1, always the same ones. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("whatever bytes come are read or refused with a reason, and never throw", () => {
  const random = seeded(42);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  let refused = 0;
  for (let round = 0; round < 3_000; round++) {
    const subject = pick(subjects);
    const data =
      random() < 0.5 ? writeEvent(subject, sampleEvent(subject, "fuzz")) : writeEntry(sampleEntry());
    const changes = 1 + Math.floor(random() * 6);
    for (let change = 0; change < changes; change++)
      data[Math.floor(random() * data.length)] = Math.floor(random() * 256);
    const cut = random() < 0.3 ? data.subarray(0, Math.floor(random() * data.length)) : data;
    for (const read of [
      ...readEvents({ subject, data: cut, headers: undefined }).map(({ event }) => event),
      ...readEntries({ subject, data: cut, headers: undefined }).map(({ entry }) => entry),
    ])
      if (!read.ok) {
        refused++;
        expect(read.problem.length).toBeGreaterThan(0);
      }
  }
  expect(refused).toBeGreaterThan(3_000);
});

test.each([
  ["$JS.ACK.EVENTS.scanner.3.17.42.1700000000123456789.5"],
  ["$JS.ACK.hub.AbCdEf.EVENTS.scanner.3.17.42.1700000000123456789.5.x1y2"],
  ["$JS.ACK._.AbCdEf.EVENTS.scanner.3.17.42.1700000000123456789.5"],
])("where an acknowledgement goes tells the delivery: %s", (reply) => {
  expect(readReply(reply)).toEqual({ times: 3, sequence: 17, storedAtMs: 1_700_000_000_123 });
});
