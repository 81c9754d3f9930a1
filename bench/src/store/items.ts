/** What the measurements write; the same for every store. Spread over the keys, so that inserts hit all of an index. */

export const owners = 1_000;

export const item = (index: number) => ({
  owner: `owner${(index * 7_919) % owners}`,
  rank: (index * 104_729) % 1_000_003,
  kind: ["bounce", "complaint", "delivery", "open"][index % 4] ?? "",
  body: `${index} `.padEnd(120, "x"),
});

export const events = (batch: number) =>
  Array.from({ length: 200 }, (_, index) => ({
    eventId: `event-${batch}-${index}`,
    subject: "mail.delivered",
    at: 1_700_000_000_000 + batch * 200 + index,
    detail: "x".repeat(200),
  }));
