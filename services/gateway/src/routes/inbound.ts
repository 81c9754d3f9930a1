/** Received mail, opened for people: what is in it, its page in a frame, its files. The dashboard's, hidden from the reference. */
import { z } from "@hono/zod-openapi";
import { Failure, type InboundContents } from "@tyto/contracts";
import { type OpenedMessage, openedBytesMax, openMessage } from "@tyto/mail";
import { places } from "@tyto/service";
import type { Context } from "hono";
import { type Api, createRoute, type GatewayEnv, problems } from "../api.ts";
import type { Auth } from "../auth.ts";
import { framePage, framePolicy, hasRemoteImages } from "../inbound/page.ts";
import { fetchRaw, type Raw, unknownMessage } from "../inbound/raw.ts";
import { InboundContents as Contents } from "../schemas.ts";
import type { Store } from "../store.ts";
import { signedIn } from "./session.ts";

export type InboundPorts = { auth: Pick<Auth, "person">; store: Pick<Store, "rawUrl">; convexUrl: string };

const Params = z.object({ id: z.string().max(120) });
const FileParams = Params.extend({ file: z.coerce.number().int().min(0).max(1_000) });

/** One at a time: opening takes five times a message's bytes for a moment. */
const turns = places(1);

/** GET /api/inbound/{id}, …/html, …/files/{file} */
export function inbound(api: Api, ports: InboundPorts): void {
  /** Reads the message for a person who is signed in. */
  async function open<T>(
    c: Context<GatewayEnv>,
    id: string,
    read: (message: OpenedMessage, raw: Raw) => T,
  ): Promise<T> {
    await signedIn(ports.auth, c.req.raw.headers);
    const url = await ports.store.rawUrl(id);
    if (url === null) throw unknownMessage(id);
    const giveBack = await turns.take();
    try {
      const raw = await fetchRaw(ports.convexUrl, url);
      const message = openMessage(raw.bytes);
      if (message === undefined)
        throw new Failure("request.invalid", `${id} is nested too deeply`, {
          hint: "This message is nested too deeply to be taken apart; its source can be read",
        });
      return read(message, raw);
    } finally {
      giveBack();
    }
  }

  api.openapi(
    createRoute({
      hide: true,
      method: "get",
      path: "/api/inbound/{id}",
      request: { params: Params },
      responses: {
        200: { description: "Contents", content: { "application/json": { schema: Contents } } },
        ...problems("resource.unknown"),
      },
    }),
    async (c) => c.json(await open(c, c.req.valid("param").id, contentsOf), 200, unkept),
  );

  api.get("/api/inbound/:id/html", async (c) => {
    const options = { remoteImages: c.req.query("images") === "remote" };
    const page = await open(c, c.req.param("id"), ({ html, files }) =>
      html === undefined ? undefined : framePage(html, files, options),
    );
    if (page === undefined) throw unknownMessage("no HTML");
    return c.body(page, 200, {
      ...unkept,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": framePolicy(options),
      "x-dns-prefetch-control": "off",
    });
  });

  api.get("/api/inbound/:id/files/:file", async (c) => {
    const given = FileParams.safeParse(c.req.param());
    if (!given.success) throw unknownMessage(c.req.path);
    const file = await open(c, given.data.id, ({ files }) => files[given.data.file]);
    if (file === undefined) throw unknownMessage("no such file");
    return c.body(new Uint8Array(file.bytes), 200, {
      ...unkept,
      // Never by the type that its sender gave it: nothing of it may open as a page of ours.
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encodedName(file.name)}`,
      "content-security-policy": "sandbox; default-src 'none'",
    });
  });
}

const unkept = { "cache-control": "private, no-store" };

function contentsOf(
  { replyTo, isTextOfHtml, isWhole, html, files, headers, ...message }: OpenedMessage,
  raw: Raw,
) {
  return {
    ...message,
    ...(replyTo === undefined ? {} : { reply_to: replyTo }),
    is_text_of_html: isTextOfHtml,
    has_html: html !== undefined,
    has_remote_images: html !== undefined && hasRemoteImages(html),
    headers: [...headers],
    attachments: files.map(({ name, type, bytes }) => ({ name, type, bytes: bytes.length })),
    bytes: raw.bytesTotal,
    is_whole: isWhole && raw.bytesTotal <= openedBytesMax,
  } satisfies InboundContents;
}

/** RFC 8187 §3.2.1, without characters that turn the direction of writing: `exe.txt` is not `txt.exe`. */
const encodedName = (name: string) =>
  encodeURIComponent(name.toWellFormed().replace(/[\p{Cc}\p{Cf}/\\]/gu, "_")).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
