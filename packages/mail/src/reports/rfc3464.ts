import { decodeCharset, toByteText } from "../encodings.ts";
import type { Message } from "../message.ts";
import type { RecipientFields } from "../report.ts";
import type { Body } from "./body.ts";
import type { Format, Found } from "./format.ts";

const statusTypes = new Set([
  "message/delivery-status",
  "message/global-delivery-status",
  "text/delivery-status",
  "message/disposition-delivery-status",
]);
const partsMax = 5;
const linesMax = 5_000;
const fieldCharsMax = 4_000;

/**
 * RFC 3464 and RFC 6533: groups of fields divided by empty lines, the first about the message, the others about one
 * recipient each. The enclosing type is not looked at: servers send such parts inside multipart/mixed, too, and some
 * leave out the empty line.
 */
export const rfc3464: Format = (message, body) => {
  const groups = message.parts
    .filter((part) => statusTypes.has(part.type))
    .slice(0, partsMax)
    .flatMap((part) => readGroups(decodeCharset(toByteText(part.bytes), "utf-8")));
  return groups.length === 0 ? undefined : foundIn(groups, body, "RFC 3464");
};

const firstField = /^(?:Reporting-MTA|Original-Recipient|Final-Recipient):/im;

/** The same fields in the middle of a text: the parts were lost on the way, or never made. */
export const inlineFields: Format = (message, body) => {
  const text = textWithFields(message);
  if (text === undefined) return undefined;
  const groups = readGroups(text.slice(text.search(firstField)));
  return foundIn(groups, body, "RFC 3464 in text");
};

function textWithFields(message: Message): string | undefined {
  if (/^(?:Final|Original)-Recipient:/im.test(message.text)) return message.text;
  return message.parts
    .filter((part) => part.type.startsWith("text/") && part.type !== "text/rfc822-headers")
    .slice(0, partsMax)
    .map((part) => decodeCharset(toByteText(part.bytes.subarray(0, 20_000)), undefined))
    .find((text) => /^Final-Recipient:/im.test(text));
}

function foundIn(groups: readonly Group[], body: Body, software: string): Found | undefined {
  const reportingMta = groups.find((group) => group.has("reporting-mta"))?.get("reporting-mta");
  const recipients = groups.filter(isAboutRecipient).map((group) => fieldsOf(group, body));
  if (recipients.length === 0) return undefined;
  return { software, ...(reportingMta === undefined ? {} : { reportingMta }), recipients };
}

const names = {
  originalRecipient: ["original-recipient", "x-original-to"],
  finalRecipient: ["final-recipient"],
  actualRecipient: ["x-actual-recipient"],
  action: ["action"],
  status: ["status"],
  diagnostic: ["diagnostic-code", "x-diagnostic-code"],
  remoteMta: ["remote-mta"],
} as const;

function fieldsOf(group: Group, body: Body): RecipientFields {
  const fields: RecipientFields = { remark: body.said };
  for (const [key, fieldNames] of Object.entries(names) as [keyof typeof names, readonly string[]][]) {
    const value = fieldNames.map((name) => group.get(name)).find((one) => one !== undefined && one !== "");
    if (value !== undefined) fields[key] = value;
  }
  return fields;
}

type Group = ReadonlyMap<string, string>;

const isAboutRecipient = (group: Group) =>
  group.has("final-recipient") || group.has("original-recipient") || group.has("action");

/** Folded lines stay lines, so that a reply of several lines can be told from one long line. The first of a name counts. */
function readGroups(text: string): Group[] {
  const groups: Map<string, string>[] = [];
  let group = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split(/\r\n|\r|\n/, linesMax)) {
    if (line.trim() === "") {
      if (group.size > 0) groups.push(group);
      group = new Map();
      name = undefined;
      continue;
    }
    if (/^[ \t]/.test(line)) {
      const value = name === undefined ? undefined : group.get(name);
      if (name !== undefined && value !== undefined && value.length < fieldCharsMax)
        group.set(name, `${value}\n${line.trim()}`.slice(0, fieldCharsMax));
      continue;
    }
    const colon = line.indexOf(":");
    const found = colon > 0 ? line.slice(0, colon).trim().toLowerCase() : undefined;
    // A second recipient without the empty line before it.
    if (found === "final-recipient" && group.has(found)) {
      groups.push(group);
      group = new Map();
    }
    name = found === undefined || group.has(found) ? undefined : found;
    if (name !== undefined)
      group.set(
        name,
        line
          .slice(colon + 1)
          .trim()
          .slice(0, fieldCharsMax),
      );
  }
  if (group.size > 0) groups.push(group);
  return groups;
}
