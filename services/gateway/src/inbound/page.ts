/**
 * The HTML of a received message as a page that can do nothing. The policy is the wall: an origin of its own, no scripts, no
 * forms, nothing from anywhere. What the wall would stop is taken out first, so that it is not even tried, with what no policy
 * covers (looking up the names of hosts ahead).
 */
import { frameSandbox } from "@tyto/contracts";
import type { OpenedFile } from "@tyto/mail";

export type PageOptions = { remoteImages: boolean };

/**
 * Links open in a tab of their own, by a click and without a way back. A page in a frame of ours alone; its images are in it,
 * or, when somebody asked for them, anywhere.
 */
export const framePolicy = ({ remoteImages }: PageOptions): string =>
  [
    `sandbox ${frameSandbox}`,
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `img-src data:${remoteImages ? " https: http:" : ""}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'self'",
  ].join("; ");

/** Never shown, content and all. */
const removed =
  "title, script, noscript, iframe, frame, frameset, object, embed, applet, portal, fencedframe, base, meta, link, audio, video, source, track, template";
/** Attributes by which a page fetches, in the order of how often they do. */
const fetching = [
  "src",
  "srcset",
  "background",
  "poster",
  "data",
  "ping",
  "lowsrc",
  "dynsrc",
  "href",
  "xlink:href",
];
const linkSchemes = /^\s*(?:https?:|mailto:|tel:)/i;
const imageTypes = /^image\/(?:png|jpe?g|gif|webp|bmp|x-icon)$/;
/** What the images inside a message may add to its page, before base64. */
const inlineBytesMax = 8 * 1_048_576;

/** Light whatever the theme: mails are made for white paper. */
const head =
  '<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light;background:#fff}body{margin:16px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}img{max-width:100%}</style>';

export function framePage(html: string, files: readonly OpenedFile[], options: PageOptions): string {
  const imageOf = imagesIn(files);
  return `${head}${new HTMLRewriter()
    .on(removed, { element: (element) => void element.remove() })
    .on("form", { element: (element) => void element.removeAndKeepContent() })
    .on("*", {
      element(element) {
        if (element.removed) return;
        const isLink = element.tagName === "a" || element.tagName === "area";
        for (const name of fetching) {
          const value = element.getAttribute(name);
          if (value === null) continue;
          const kept = isLink && name === "href" ? linkOf(value) : imageOf(value, options);
          if (kept === undefined) element.removeAttribute(name);
          else element.setAttribute(name, kept);
        }
        if (isLink) {
          element.setAttribute("target", "_blank");
          element.setAttribute("rel", "noopener noreferrer");
        }
      },
    })
    .transform(html)}`;
}

const linkOf = (href: string) => (linkSchemes.test(href) ? href : undefined);

/** What an image may be loaded from: the page itself, a file of the message (`cid:`, RFC 2392), and elsewhere if that is allowed. */
function imagesIn(files: readonly OpenedFile[]) {
  const byId = new Map<string, OpenedFile>();
  for (const file of files)
    if (file.contentId !== undefined && imageTypes.test(file.type)) byId.set(file.contentId, file);
  let room = inlineBytesMax;
  return (value: string, { remoteImages }: PageOptions): string | undefined => {
    const [, id] = /^\s*cid:(.{1,300}?)\s*$/i.exec(value) ?? [];
    if (id === undefined)
      return /^\s*data:image\//i.test(value) || (remoteImages && isRemote(value)) ? value : undefined;
    const file = byId.get(id) ?? byId.get(decoded(id));
    if (file === undefined || file.bytes.length > room) return undefined;
    room -= file.bytes.length;
    return `data:${file.type};base64,${Buffer.from(file.bytes).toString("base64")}`;
  };
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    // Not percent-encoded UTF-8: it is the id as it stands.
    return id;
  }
}

const isRemote = (value: string) => /^\s*(?:https?:)?\/\//i.test(value);

/** Whether a page has images elsewhere, in elements or styles. */
export const hasRemoteImages = (html: string): boolean =>
  /(?:\b(?:src|srcset|background|poster)\s{0,10}=\s{0,10}["']?|\burl\(\s{0,10}["']?)\s{0,10}(?:https?:)?\/\//i.test(
    html,
  );
