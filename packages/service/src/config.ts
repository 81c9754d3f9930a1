import { z } from "zod";

/** A setting is an environment variable; `load` names every wrong one at once, so that one restart mends them all. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(service: string, problems: readonly string[]) {
    super(`${service} cannot start:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/**
 * Reads settings by a zod object whose keys are the names of environment variables. An empty variable counts as
 * absent, because that is what compose files make of an unset one. Throws ConfigError.
 */
export function loadConfig<Shape extends z.ZodRawShape>(
  service: string,
  shape: Shape,
  env: Record<string, string | undefined>,
): z.infer<z.ZodObject<Shape>> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name in shape && value !== ""),
  );
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    service,
    parsed.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      return given[name] === undefined ? `${name} is not set` : `${name} ${issue.message}`;
    }),
  );
}

export const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);
export const count = (fallback: number, max: number) =>
  z.coerce.number().int().min(1).max(max).default(fallback);
export const flag = (fallback: boolean) =>
  z
    .enum(["true", "false", "1", "0"])
    .transform((text) => text === "true" || text === "1")
    .default(fallback);
/** A secret of at least 16 characters: shorter ones can be guessed. */
export const secret = () => z.string().min(16, "must have at least 16 characters");
/** `a, b,c` as a list without empty entries. */
export const list = () =>
  z
    .string()
    .default("")
    .transform((text) =>
      text
        .split(",")
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ""),
    );

/** A setting read by a function that throws, with words for the operator, what it cannot read. */
export const readBy = <T>(read: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return read(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });

const EcPrivateKey = z.object({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});

/** A private key for ES256 (RFC 7518 §3.4), as a JWK in base64url. */
export const signingKey = () =>
  z.string().transform((text, context) => {
    try {
      return EcPrivateKey.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
    } catch {
      // What is wrong with a key is not told: the message would quote it.
      context.addIssue({ code: "custom", message: "must be a private ES256 JWK as JSON in base64url" });
      return z.NEVER;
    }
  });

/** Settings that every service on the bus has. */
export const busSettings = {
  NATS_URL: z.string().default("nats://127.0.0.1:4222"),
  NATS_USER: z.string().min(1).optional(),
  NATS_PASSWORD: z.string().min(1).optional(),
};

/** Settings of every service: where health and metrics are served, and how much is logged. */
export const processSettings = (healthPort: number) => ({
  HEALTH_HOST: z.string().default("127.0.0.1"),
  HEALTH_PORT: port(healthPort),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

/** OpenTelemetry's own settings, in every service that traces; without an endpoint tracing is off. */
export const tracingSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.url().optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional(),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  OTEL_SDK_DISABLED: z.string().optional(),
};
type TracingSettings = z.infer<z.ZodObject<typeof tracingSettings>>;

/** Where traces go, with which headers, and how many of them. */
export function tracingOf(given: TracingSettings) {
  const base = given.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/+$/, "");
  const url =
    given.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  const headers = (given.OTEL_EXPORTER_OTLP_HEADERS ?? "")
    .split(",")
    .map((part) => part.trim().split("="))
    .flatMap(([name = "", ...value]) =>
      name === "" ? [] : [[name.trim(), decodeURIComponent(value.join("=").trim())] as const],
    );
  return {
    url: given.OTEL_SDK_DISABLED?.toLowerCase() === "true" ? undefined : url,
    headers: Object.fromEntries(headers),
    ratio: given.OTEL_TRACES_SAMPLER_ARG,
  };
}
