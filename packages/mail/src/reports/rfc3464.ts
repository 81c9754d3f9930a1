import type { RecipientFields } from "../report.ts";
import type { Format } from "./format.ts";

const statusTypes = new Set(["message/delivery-status", "message/global-delivery-status"]);
const partsMax = 5;
const linesMax = 5_000;
const fieldCharsMax = 4_000;

/**
 * RFC 3464 and RFC 6533: groups of fields divided by empty lines, the first about the message, the others about one
 * recipient each. The enclosing type is not looked at: servers send such parts inside multipart/mixed, too, and some
 * leave out the empty line.
 */
export const rfc3464: Format = (message) => {
  const groups = message.parts
    .filter((part) => statusTypes.has(part.type))
    .slice(0, partsMax)
    .flatMap((part) => readGroups(new TextDecoder().decode(part.bytes)));
  if (groups.length === 0) return undefined;
  const reportingMta = groups.find((group) => group.has("reporting-mta"))?.get("reporting-mta");
  return {
    ...(reportingMta === undefined ? {} : { reportingMta }),
    recipients: groups.filter(isAboutRecipient).map((group): RecipientFields => {
      const given = (name: string, key: keyof RecipientFields) => {
        const value = group.get(name);
        return value === undefined ? {} : { [key]: value };
      };
      return {
        ...given("original-recipient", "originalRecipient"),
        ...given("final-recipient", "finalRecipient"),
        ...given("action", "action"),
        ...given("status", "status"),
        ...given("diagnostic-code", "diagnostic"),
        ...given("remote-mta", "remoteMta"),
        remark: message.text,
      };
    }),
  };
};

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
