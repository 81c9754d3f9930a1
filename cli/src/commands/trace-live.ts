/** The SMTP dialogue with a domain's servers as it happens. */
import { TraceLineView } from "@tyto/contracts";
import type { Api } from "../api/client.ts";
import { problem } from "../api/client.ts";
import { parseJson } from "../json.ts";
import { colours, complain, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";

const sessionColours = [colours.cyan, colours.magenta, colours.yellow, colours.blue, colours.green];

/** Resolves with the exit code when it is over: ten minutes, Ctrl-C, or the mta ended. */
export async function traceLive(api: Api, domain: string, isJson: boolean): Promise<number> {
  const ending = new AbortController();
  const stop = () => ending.abort();
  process.once("SIGINT", stop);
  try {
    const answer = await fetch(`${api.url}/v1/sites/${encodeURIComponent(domain)}/trace`, {
      headers: { authorization: `Bearer ${api.key}`, accept: "text/event-stream" },
      signal: ending.signal,
    }).catch((error: unknown) => {
      if (ending.signal.aborted) return undefined;
      throw new Trouble(`nothing answers at ${api.url}`, "start Tyto with ./tyto up, or give --url", error);
    });
    if (answer === undefined) return 0;
    if (!answer.ok || answer.body === null) {
      const text = await answer.text();
      throw problem(answer.status, parseJson(text), text);
    }
    if (!isJson) complain(colours.dim(`listening to sessions with ${domain}; Ctrl-C ends it`));
    const format = createFormat();
    for await (const { name, data } of eventsOf(answer.body, ending.signal)) {
      if (isJson) {
        say(JSON.stringify({ event: name, ...(data as object) }));
        continue;
      }
      if (name === "line") for (const line of format(TraceLineView.parse(data))) say(line);
      else if (name === "dropped")
        complain(colours.yellow(`… ${(data as { lines: number }).lines} lines left out, they came too fast`));
      else if (name === "end") complain(colours.dim(`over: ${(data as { why: string }).why}`));
    }
    return 0;
  } finally {
    process.off("SIGINT", stop);
  }
}

/** Sessions whose first line was shown; a longer trace names the oldest ones again. */
const sessionsMax = 10_000;

/** One line each, with its session's name; who that is with is told at its first line. */
export function createFormat(): (line: TraceLineView) => string[] {
  const known = new Set<string>();
  return ({ at, process, session, host, ip, egress, side, text }) => {
    const id = `${process.slice(-4)}.${session}`;
    const colour = sessionColours[Bun.hash.crc32(id) % sessionColours.length] ?? colours.cyan;
    const title = known.has(id)
      ? []
      : [colour(`── ${id} ${host} [${ip}]${egress === undefined ? "" : ` from ${egress}`}`)];
    if (known.size >= sessionsMax) known.clear();
    known.add(id);
    return [
      ...title,
      `${colours.dim(at.slice(11, 23))} ${colour(id)} ${side} ${side === "*" ? colours.dim(text) : text}`,
    ];
  };
}

/** Server-sent events (WHATWG HTML §9.2) with JSON data, as far as our own API uses them. */
export async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<{ name: string; data: unknown }> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        const field = (name: string) =>
          block
            .split("\n")
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2);
        const [name, data] = [field("event"), field("data")];
        if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) };
      }
    }
  } catch (error) {
    // Ctrl-C.
    if (!signal.aborted) throw new Trouble("the connection to the gateway ended", undefined, error);
  }
}
