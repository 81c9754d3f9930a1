/** The bytes of a received message, from where Convex keeps them. */
import { Failure } from "@tyto/contracts";
import { openedBytesMax } from "@tyto/mail";

const fetchMsMax = 30_000;

/** `bytesTotal`: of the message as it came; `bytes` are its front where it is larger than what is opened. */
export type Raw = { bytes: Uint8Array; bytesTotal: number };

/** The file behind a URL of Convex, at most 40 MiB of it. Throws Failure `upstream.down`, or `resource.unknown` when it is gone. */
export async function fetchRaw(convexUrl: string, rawUrl: string): Promise<Raw> {
  const { pathname } = new URL(rawUrl, convexUrl);
  const away = (error: unknown) => {
    throw new Failure("upstream.down", `Convex: ${String(error)}`, { cause: error });
  };
  const answer = await fetch(`${convexUrl}${pathname}`, {
    headers: { range: `bytes=0-${openedBytesMax - 1}` },
    signal: AbortSignal.timeout(fetchMsMax),
  }).catch(away);
  if (answer.status === 404) throw unknownMessage(pathname);
  if (!answer.ok) return away(`answered ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer().catch(away));
  const total = /\/(\d{1,15})$/.exec(answer.headers.get("content-range") ?? "")?.[1];
  return { bytes, bytesTotal: total === undefined ? bytes.length : Number(total) };
}

export const unknownMessage = (detail: string) =>
  new Failure("resource.unknown", detail, {
    hint: "This message is not stored here: it may still be on its way, or too old",
  });
