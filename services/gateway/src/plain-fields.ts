/**
 * The header of a plain message, as nodemailer's MIME tree writes it, in a tenth of the time: a message of one text whose
 * fields are ASCII without anything to encode or to quote. Everything else is the tree's.
 */
import type { Mailbox, SendRequest } from "@tyto/contracts";
import { foldLines } from "nodemailer/lib/mime-funcs";

const lineCharsMax = 76;
/** Of an unbroken word: longer ones are encoded, so that no line passes 998 octets (RFC 5322 §2.1.1). */
export const wordCharsMax = 200;

/** A domain that needs no A-label and is no address literal. */
const plainAddress = /^[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,63}$/;
const plainName = /^[A-Za-z0-9_]+( [A-Za-z0-9_]+)*$/;
/** Printable ASCII, with no spaces at its ends; nodemailer encodes what has a quote. */
const plainValue = /^[!#-~](?:[ !#-~]*[!#-~])?$/;
/** Names that no rule of their own applies to. */
const plainFieldName = /^(X|List)-[A-Za-z0-9-]+$/i;

type Field = readonly [name: string, value: string | undefined];

/**
 * The fields before those of the content, each ended by CRLF; `undefined` where one of them is not plain. `own` are those that
 * no request gives.
 */
export function plainFields(mail: SendRequest, own: readonly Field[]): string | undefined {
  const custom = Object.entries(mail.headers ?? {});
  if (!custom.every(([name]) => plainFieldName.test(name)) || hasTwins(custom)) return undefined;
  const fields: readonly Field[] = [
    ["From", mailboxes([mail.from])],
    ["To", mailboxes(mail.to)],
    ...optional("Cc", mail.cc),
    ...optional("Reply-To", mail.reply_to),
    ["Subject", mail.subject],
    ...own,
    ...(mail.require_tls === false ? [["TLS-Required", "No"] as const] : []),
    ...custom,
  ];
  let header = "";
  for (const [name, value] of fields) {
    if (value === undefined || !plainValue.test(value) || value.includes("=?")) return undefined;
    const line = `${name}: ${value}`;
    const isLong = line.length >= lineCharsMax;
    if (isLong && hasLongWord(value)) return undefined;
    header += `${isLong ? foldLines(line, lineCharsMax) : line}\r\n`;
  }
  return header;
}

const optional = (name: string, list: readonly Mailbox[] | undefined): Field[] =>
  list === undefined || list.length === 0 ? [] : [[name, mailboxes(list)]];

function mailboxes(list: readonly Mailbox[]): string | undefined {
  const written: string[] = [];
  for (const { address, name } of list) {
    if (!plainAddress.test(address) || (name !== undefined && !plainName.test(name))) return undefined;
    written.push(name === undefined ? address : `${name} <${address}>`);
  }
  return written.join(", ");
}

const hasTwins = (fields: readonly Field[]) =>
  fields.length > 1 && new Set(fields.map(([name]) => name.toLowerCase())).size < fields.length;

const hasLongWord = (value: string) => value.split(" ").some((word) => word.length > wordCharsMax);
