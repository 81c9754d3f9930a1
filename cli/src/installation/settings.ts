/** What `tyto up` can be told by environment variables or `.env`; every one has a default. */
import { hostname } from "node:os";
import { ConfigError, list, loadConfig, roomSettings } from "@tyto/service";
import { z } from "zod";
import type { Environment } from "../places.ts";
import { Trouble } from "../trouble.ts";

/** Ports of a whole installation; TYTO_PORT_OFFSET moves all of them at once. */
export const defaultPorts = {
  WEB_PORT: 3000,
  GATEWAY_PORT: 3100,
  GATEWAY_HEALTH_PORT: 3101,
  MTA_HEALTH_PORT: 3102,
  SCANNER_HEALTH_PORT: 3103,
  BOUNCE_HEALTH_PORT: 3104,
  RECORDER_HEALTH_PORT: 3105,
  LLM_HEALTH_PORT: 3106,
  LLM_PORT: 3200,
  CONVEX_PORT: 3210,
  CONVEX_SITE_PORT: 3211,
  CLAMAV_PORT: 3310,
  BOUNCE_PORT: 2525,
  NATS_PORT: 4222,
} as const;

export type PortName = keyof typeof defaultPorts;
export const portNames = Object.keys(defaultPorts) as PortName[];
export type Ports = Record<PortName, number>;

/** Those of parts that run: the llm service does where a provider is named. */
export const portsInUse = ({ ports, llmProvider }: Pick<Settings, "ports" | "llmProvider">): Partial<Ports> =>
  Object.fromEntries(
    Object.entries(ports).filter(([name]) => llmProvider !== undefined || !name.startsWith("LLM_")),
  );

export type Settings = {
  ports: Ports;
  siteUrl: string;
  mailHostname: string;
  /** Whether MAIL_HOSTNAME was given: a guessed name cannot receive bounces from the internet. */
  hasMailHostname: boolean;
  /** `auto`, `test` (only the EICAR signature) or a folder of signatures. */
  signatures: string;
  llmProvider: string | undefined;
  bounceHost: string;
  gatewayHost: string;
  /** With less room on the disk no mail is taken. */
  storeFreeMbMin: number;
};

const portNumber = z.coerce.number().int().min(1).max(65_535);
const portShape = Object.fromEntries(portNames.map((name) => [name, portNumber.optional()]));

const shape = {
  TYTO_PORT_OFFSET: z.coerce.number().int().min(0).max(60_000).default(0),
  SITE_URL: z.url().optional(),
  MAIL_HOSTNAME: z.hostname().optional(),
  TYTO_SIGNATURES: z.string().default("auto"),
  LLM_PROVIDER: z.string().optional(),
  BOUNCE_HOST: z.string().default("127.0.0.1"),
  GATEWAY_HOST: z.string().default("127.0.0.1"),
  BOUNCE_RECIPIENTS: list(),
  STORE_FREE_MB_MIN: roomSettings.STORE_FREE_MB_MIN,
};

export function loadSettings(env: Environment): Settings {
  try {
    const given = loadConfig("tyto up", shape, env);
    const givenPorts = loadConfig("tyto up", portShape, env) as Partial<Ports>;
    const ports = Object.fromEntries(
      Object.entries(defaultPorts).map(([name, port]) => [
        name,
        givenPorts[name as PortName] ?? port + given.TYTO_PORT_OFFSET,
      ]),
    ) as Ports;
    return {
      ports,
      siteUrl: given.SITE_URL ?? `http://localhost:${ports.WEB_PORT}`,
      mailHostname: given.MAIL_HOSTNAME ?? guessHostname(hostname()),
      hasMailHostname: given.MAIL_HOSTNAME !== undefined,
      signatures: given.TYTO_SIGNATURES,
      llmProvider: given.LLM_PROVIDER,
      bounceHost: given.BOUNCE_HOST,
      gatewayHost: given.GATEWAY_HOST,
      storeFreeMbMin: given.STORE_FREE_MB_MIN,
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new Trouble(error.message, undefined, error);
    throw error;
  }
}

/** EHLO wants a fully qualified name (RFC 5321 §4.1.1.1); a bare host name gets a domain that nobody owns. */
const guessHostname = (name: string) => (name.includes(".") ? name : `${name}.localdomain`);
