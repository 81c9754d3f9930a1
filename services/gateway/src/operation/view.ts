import { Failure } from "@tyto/contracts";
import type { z } from "zod";

/** In the API's words, checked: what it describes is what comes. */
export function shown<S extends z.ZodType>(schema: S, told: unknown): z.infer<S> {
  const parsed = schema.safeParse(viewOf(told));
  if (parsed.success) return parsed.data;
  throw new Failure("internal", `an answer breaks its contract: ${parsed.error.message.slice(0, 500)}`);
}

/**
 * What services tell each other, in the words of the HTTP API: snake_case, and times as ISO text: `…AtMs` becomes `…_at`,
 * `untilMs` becomes `until`, `sinceMs` becomes `since`.
 */
export function viewOf(told: unknown): unknown {
  if (Array.isArray(told)) return told.map(viewOf);
  if (typeof told !== "object" || told === null) return told;
  return Object.fromEntries(
    Object.entries(told)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => {
        const time = timeName(name);
        if (time !== undefined && typeof value === "number") return [time, new Date(value).toISOString()];
        // As it was written by a person.
        return name === "definition" ? [name, value] : [snake(name), viewOf(value)];
      }),
  );
}

function timeName(name: string): string | undefined {
  if (name === "atMs") return "at";
  if (name === "untilMs" || name === "sinceMs") return name.slice(0, -2);
  return name.endsWith("AtMs") ? snake(name.slice(0, -2)) : undefined;
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
