import { type Endpoint, type Trouble, unauthenticated } from "../trouble.ts";
import type { Offers } from "./envelope.ts";
import type { Wire } from "./wire.ts";

export type Credentials = { user: string; password: string };

/**
 * AUTH PLAIN, or LOGIN where the server knows no better (RFC 4954, RFC 4616). `undefined`: we are who we say; else why
 * not, and the session is closed. Whoever calls has looked at the server's certificate.
 */
export async function authenticate(
  wire: Wire,
  endpoint: Endpoint,
  offers: Offers,
  { user, password }: Credentials,
  timeoutMs: number,
): Promise<Trouble | undefined> {
  const steps = stepsOf(offers, user, password);
  if (steps === undefined)
    return closed(wire, unauthenticated(endpoint, "it offers neither AUTH PLAIN nor AUTH LOGIN"));
  wire.isAsked = true;
  for (const [index, { line, shown }] of steps.entries()) {
    wire.write(`${line}\r\n`, shown);
    const reply = await wire.reply(timeoutMs);
    if (reply.kind === "break") return closed(wire, unauthenticated(endpoint, reply.why));
    const isLast = index === steps.length - 1;
    if (isLast ? reply.code !== 235 : reply.code !== 334)
      return closed(wire, unauthenticated(endpoint, "it refused our user or password", reply));
  }
  wire.isAsked = false;
  return undefined;
}

function closed(wire: Wire, trouble: Trouble): Trouble {
  wire.close("no authentication");
  return trouble;
}

/** What to send, and what of it may be seen in a transcript. */
function stepsOf(
  offers: Offers,
  user: string,
  password: string,
): { line: string; shown?: string }[] | undefined {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  if (offers.mechanisms.includes("PLAIN"))
    return [{ line: `AUTH PLAIN ${base64(`\0${user}\0${password}`)}`, shown: "AUTH PLAIN ***" }];
  if (offers.mechanisms.includes("LOGIN"))
    return [
      { line: "AUTH LOGIN" },
      { line: base64(user), shown: "***" },
      { line: base64(password), shown: "***" },
    ];
  return undefined;
}
