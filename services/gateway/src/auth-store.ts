/** better-auth's tables in Convex: each operation is one function of convex/authStore.ts, so each is one transaction. */
import { api } from "@tyto/convex/api";
import { type AdapterFactory, type CustomAdapter, createAdapterFactory } from "better-auth/adapters";
import type { BetterAuthOptions } from "better-auth/types";
import type { Convex } from "./convex.ts";

type Where = Parameters<CustomAdapter["findOne"]>[0]["where"];
type Model = "user" | "session" | "account" | "verification";

/** Dates are milliseconds in Convex, and ids are those of the documents. */
export const convexAuthStore = (convex: Convex): AdapterFactory<BetterAuthOptions> =>
  createAdapterFactory({
    config: {
      adapterId: "tyto-convex",
      disableIdGeneration: true,
      supportsNumericIds: false,
      customTransformInput: ({ data }) => toConvex(data),
      customTransformOutput: ({ data, fieldAttributes }) =>
        fieldAttributes.type === "date" && typeof data === "number" ? new Date(data) : data,
    },
    adapter: () => adapterOn(convex),
  });

const toConvex = (value: unknown): unknown =>
  value instanceof Date ? value.getTime() : Array.isArray(value) ? value.map(toConvex) : value;

type Scalar = string | number | boolean | null;

function adapterOn(convex: Convex): CustomAdapter {
  const { authStore } = api;
  // The library types rows as what its caller expects; that they are so is between it and the tables.
  const row = <T>(value: unknown) => value as T;
  const values = (data: unknown) => data as Record<string, Scalar>;
  const asked = ({ model, where }: { model: string; where: Where }) => ({
    model: model as Model,
    where: where.map(({ field, operator = "eq", value, connector = "AND", mode = "sensitive" }) => ({
      field,
      operator,
      connector,
      mode,
      value: toConvex(value) as Scalar | string[] | number[],
    })),
  });
  return {
    create: async ({ model, data }) =>
      row(await convex.mutation(authStore.create, { model: model as Model, data: values(data) })),
    findOne: async (query) => row(await convex.query(authStore.findOne, asked(query))),
    findMany: async ({ model, where = [], limit, sortBy, offset }) =>
      row(
        await convex.query(authStore.findMany, {
          ...asked({ model, where }),
          limit,
          ...(sortBy === undefined ? {} : { sortBy }),
          ...(offset === undefined ? {} : { offset }),
        }),
      ),
    update: async ({ update, ...query }) =>
      row(await convex.mutation(authStore.update, { ...asked(query), update: values(update) })),
    updateMany: ({ update, ...query }) =>
      convex.mutation(authStore.updateMany, { ...asked(query), update: values(update) }),
    delete: async (query) => void (await convex.mutation(authStore.remove, asked(query))),
    deleteMany: (query) => convex.mutation(authStore.removeMany, asked(query)),
    count: ({ model, where = [] }) => convex.query(authStore.count, asked({ model, where })),
  };
}
