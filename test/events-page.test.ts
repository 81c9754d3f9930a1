import { expect, test } from "bun:test";
import { events, isSubject, Reply, type Subject, subjects, users } from "@tyto/contracts";
import { parseReply } from "@tyto/mail";

const page = await Bun.file(`${import.meta.dir}/../docs/events.md`).text();
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [, subject = "", text = ""] = /^`([\w.-]+)`\n([\s\S]*)$/.exec(section) ?? [];
      return [subject, text] as const;
    })
    .filter(([subject]) => subject !== ""),
);

test("docs/events.md has one section per event, in the order of the contracts", () => {
  expect([...sections.keys()]).toEqual(subjects);
});

for (const subject of subjects)
  test(`the example of ${subject} is what its contract takes, nothing more and nothing less`, () => {
    const text = sections.get(subject) ?? "";
    const [, example = ""] = /```json\n([\s\S]*?)\n```/.exec(text) ?? [];
    const given: unknown = JSON.parse(example);
    expect(events[subject].parse(given)).toEqual(given as never);
  });

test("replies stand in the examples as they are read: the enhanced code beside the text, not in it", () => {
  const replies = [...page.matchAll(/"reply": (\{[^}]*\})/g)].map(([, json = ""]) =>
    Reply.parse(JSON.parse(json)),
  );
  expect(replies.length).toBeGreaterThan(2);
  for (const reply of replies)
    expect(parseReply([reply.code, reply.enhanced, reply.text].join(" "))).toEqual(reply);
});

test("each section names the services that publish the event", () => {
  const publishersOf = (subject: Subject) =>
    Object.entries(users)
      .filter(([, { publishes }]) => (publishes as readonly string[]).includes(subject))
      .map(([name]) => name);
  for (const [subject, text] of sections) {
    if (!isSubject(subject)) throw new Error(`${subject} is no event`);
    const said = /^Published by ([\w, ]+?)[.:]/m.exec(text)?.[1] ?? "";
    expect({ subject, by: said.split(/, | and /).sort() }).toEqual({
      subject,
      by: publishersOf(subject).sort(),
    });
  }
});
