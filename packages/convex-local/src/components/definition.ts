import { z } from "zod";
import { UserError } from "../functions/errors.ts";
import { IDENTIFIER } from "../values/identifier.ts";

/** What a component's variable is bound to: a text, or a variable of its parent. */
export const EnvBinding = z.discriminatedUnion("type", [
  z.object({ type: z.literal("value"), value: z.string() }),
  z.object({ type: z.literal("envVar"), name: z.string() }),
]);
export type EnvBinding = z.infer<typeof EnvBinding>;

/** `value` is a validator as JSON text. */
const EnvDeclaration = z.object({
  type: z.literal("value"),
  value: z.string(),
  optional: z.boolean().optional(),
});
export type EnvDeclaration = z.infer<typeof EnvDeclaration>;

const Name = z.string().regex(IDENTIFIER, "must be letters, digits and underscores");

const Child = z.object({
  name: Name,
  /** Of its definition, relative to the app's functions directory. */
  path: z.string().min(1),
  /** Values as JSON texts. Newer packages give `env` instead. */
  args: z.array(z.tuple([z.string(), z.object({ value: z.string() })])).nullish(),
  env: z.array(z.tuple([z.string(), EnvBinding])).nullish(),
});

/** What `export()` of a `convex.config.ts` gives. */
export const Definition = z.object({
  definitionType: z.discriminatedUnion("type", [
    z.object({ type: z.literal("app") }),
    z.object({ type: z.literal("childComponent"), name: Name }),
  ]),
  httpPrefix: z.string().startsWith("/").endsWith("/").optional(),
  childComponents: z.array(Child),
  httpMounts: z.record(z.string().startsWith("/").endsWith("/"), z.string()),
  envVars: z.array(z.tuple([z.string(), EnvDeclaration])).optional(),
});
export type Definition = z.infer<typeof Definition>;

/** An app without `convex.config.ts`. */
export const PLAIN_APP: Definition = {
  definitionType: { type: "app" },
  childComponents: [],
  httpMounts: {},
};

/** Reads the exports of an evaluated `convex.config.ts`. Throws UserError. */
export function definitionOf(path: string, exports: Record<string, unknown> | undefined): Definition {
  const exporter = exports?.default;
  if (
    typeof exporter !== "object" ||
    exporter === null ||
    !("export" in exporter) ||
    typeof exporter.export !== "function"
  ) {
    throw new UserError(
      "InvalidDefinition",
      `${describePath(path)} must have defineApp() or defineComponent() as its default export`,
    );
  }
  const parsed = Definition.safeParse(exporter.export());
  if (!parsed.success) {
    throw new UserError("InvalidDefinition", `${describePath(path)}: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

export const describePath = (path: string): string =>
  path === "" ? "convex.config.ts" : `${path}/convex.config.ts`;
