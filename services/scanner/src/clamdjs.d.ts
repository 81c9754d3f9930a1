declare module "clamdjs" {
  import type { Readable } from "node:stream";

  export type Scanner = { scanStream(source: Readable, timeoutMs?: number): Promise<string> };
  export function createScanner(host: string, port: number): Scanner;
  export function version(host: string, port: number, timeoutMs?: number): Promise<string>;
}
