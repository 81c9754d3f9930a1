/** Servers and wishes for tests of deliveries. */
import type { Want } from "./pool/pool.ts";

export { type Dialog, parseDialog } from "./scripted/dialog.testing.ts";
export { startScripted } from "./scripted/server.testing.ts";
export { type Received, type Sink, startSink } from "./scripted/sink.testing.ts";

/** A delivery's wish for a session to a site. */
export const wantOf = (site: string, change: Partial<Want> = {}): Want => ({
  egress: { id: "one", ehloName: "mail.tyto.example" },
  site,
  traffic: "bulk",
  owner: "default/",
  ...change,
});
