/**
 * The message as bytes: composed once, at acceptance, and the same bytes for the same input, so that finishing a
 * request that was cut short stores what the first try stored. nodemailer's MIME tree writes every header (encoded
 * words, folding, parameters); bodies are encoded here without its streams, which saves three quarters of the time.
 */
import { Failure, limits, type Mailbox, type MessageId, type SendRequest } from "@tyto/contracts";
import { detectMimeType, encodeWord } from "nodemailer/lib/mime-funcs";
import MimeNode, { type MimeNodeHeaderValue, type MimeNodeOptions } from "nodemailer/lib/mime-node";
import { filePart, type PartContent, textPart } from "./part-content.ts";
import { plainFields, wordCharsMax } from "./plain-fields.ts";

export type Composition = {
  mail: SendRequest;
  messageId: MessageId;
  /** The RFC 5322 Message-ID without angle brackets. */
  messageIdHeader: string;
  /** The Date header: when the message is meant to leave. */
  dateMs: number;
};

/**
 * The composed message with CRLF line ends; it never has a Bcc header. Throws Failure `request.too-large` beyond
 * `limits.messageBytesMax`.
 */
export function compose(composition: Composition): Uint8Array {
  const bytes = Buffer.concat(plainParts(composition) ?? treeParts(composition));
  if (bytes.length > limits.messageBytesMax)
    throw new Failure("request.too-large", `the composed message has ${bytes.length} bytes`, {
      hint: `The composed message may have at most ${limits.messageBytesMax} bytes`,
    });
  return bytes;
}

/** Fields that Tyto gives every message. */
const ownFields = ({ messageId, messageIdHeader, dateMs }: Composition) =>
  [
    ["Message-ID", `<${messageIdHeader}>`],
    ["Date", new Date(dateMs).toUTCString().replace("GMT", "+0000")],
    ["X-Tyto-Message", messageId],
  ] as const;

/** A message of one text with plain fields needs no tree. */
function plainParts(composition: Composition): Uint8Array[] | undefined {
  const { text, html, attachments = [] } = composition.mail;
  const only = html === undefined ? text : text === undefined ? html : undefined;
  if (only === undefined || attachments.length > 0) return undefined;
  const fields = plainFields(composition.mail, ownFields(composition));
  if (fields === undefined) return undefined;
  const content = textPart(only);
  const type = html === undefined ? "text/plain" : "text/html";
  const header = `${fields}Content-Transfer-Encoding: ${content.encoding}\r\nMIME-Version: 1.0\r\nContent-Type: ${type}; charset=utf-8\r\n\r\n`;
  return [Buffer.from(header, "latin1"), content.bytes, lineEnd];
}

function treeParts(composition: Composition): Uint8Array[] {
  const { mail, messageId } = composition;
  const spelled = new Map(
    ["TLS-Required", ...Object.keys(mail.headers ?? {})].map((name) => [name.toLowerCase(), name]),
  );
  const contents: Contents = new Map();
  const root = buildTree(mail, contents, {
    // "=_" stands in no quoted-printable and no base64 line (RFC 2045 §6.7), so no part can hold the boundary.
    boundaryPrefix: "=_tyto",
    baseBoundary: messageId,
    normalizeHeaderKey: (name) => spelled.get(name.toLowerCase()) ?? name,
  });
  root.setHeader("From", asNodeAddresses([mail.from]));
  root.setHeader("To", asNodeAddresses(mail.to));
  if (mail.cc !== undefined && mail.cc.length > 0) root.setHeader("Cc", asNodeAddresses(mail.cc));
  if (mail.reply_to !== undefined && mail.reply_to.length > 0)
    root.setHeader("Reply-To", asNodeAddresses(mail.reply_to));
  root.setHeader("Subject", unstructured(mail.subject));
  for (const [name, value] of ownFields(composition)) root.setHeader(name, value);
  // RFC 8689 §5: for the servers on the way.
  if (mail.require_tls === false) root.setHeader("TLS-Required", "No");
  for (const [name, value] of Object.entries(mail.headers ?? {})) root.setHeader(name, unstructured(value));

  const parts: Uint8Array[] = [];
  render(root, contents, parts);
  return parts;
}

/** mixed( alternative( text, related( html, inline… ) ), attachments… ), without the levels that are not needed. */
function buildTree(mail: SendRequest, contents: Contents, options: MimeNodeOptions): MimeNode {
  const given = mail.attachments ?? [];
  const inline = mail.html === undefined ? [] : given.filter((file) => file.content_id !== undefined);
  const attached = given.filter((file) => !inline.includes(file));

  let root: MimeNode | undefined;
  let place: MimeNode | undefined;
  const add = (contentType: string, own: MimeNodeOptions = {}): MimeNode => {
    const node = place?.createChild(contentType, own) ?? new MimeNode(contentType, { ...options, ...own });
    root ??= node;
    return node;
  };
  const addFile = (file: (typeof given)[number], disposition: "inline" | "attachment") => {
    const node = add(file.content_type ?? detectMimeType(file.filename), { filename: file.filename });
    node.setHeader("Content-Disposition", disposition);
    node.setHeader("Content-Transfer-Encoding", "base64");
    if (file.content_id !== undefined) node.setHeader("Content-ID", `<${file.content_id}>`);
    contents.set(node, filePart(file.content));
  };

  const addText = (contentType: string, text: string) => contents.set(add(contentType), textPart(text));

  if (attached.length > 0) place = add("multipart/mixed");
  const outermost = place;
  if (mail.text !== undefined && mail.html !== undefined) place = add("multipart/alternative");
  if (mail.text !== undefined) addText("text/plain; charset=utf-8", mail.text);
  if (inline.length > 0) place = add("multipart/related");
  if (mail.html !== undefined) addText("text/html; charset=utf-8", mail.html);
  for (const file of inline) addFile(file, "inline");
  place = outermost;
  for (const file of attached) addFile(file, "attachment");
  if (root === undefined)
    throw new Failure("request.invalid", "a message without text, html and attachments");
  return root;
}

type Contents = Map<MimeNode, PartContent>;

function render(node: MimeNode, contents: Contents, parts: Uint8Array[]): void {
  const content = contents.get(node);
  if (content !== undefined) node.setHeader("Content-Transfer-Encoding", content.encoding);
  // The boundary exists once the headers are built.
  parts.push(Buffer.from(`${node.buildHeaders()}\r\n\r\n`));
  if (content !== undefined) parts.push(content.bytes, lineEnd);
  for (const child of node.childNodes) {
    parts.push(Buffer.from(`--${node.boundary}\r\n`));
    render(child, contents, parts);
  }
  if (node.childNodes.length > 0) parts.push(Buffer.from(`--${node.boundary}--\r\n`));
}

const lineEnd = Buffer.from("\r\n");

const asNodeAddresses = (mailboxes: readonly Mailbox[]) =>
  mailboxes.map(({ address, name }) => (name === undefined ? { address } : { address, name }));

function unstructured(value: string): MimeNodeHeaderValue {
  const hasLongWord = value.split(/\s/).some((word) => word.length > wordCharsMax);
  return hasLongWord ? { prepared: true, foldLines: true, value: encodeWord(value, "B", 52) } : value;
}
