import { eq } from "drizzle-orm";
import { z } from "zod";
import { parentPath, ROOT } from "../components/component.ts";
import type { EnvBinding } from "../components/definition.ts";
import { bound } from "../components/tree.ts";
import type { Store } from "../store/store.ts";
import { environment } from "../store/tables.ts";
import { UserError } from "./errors.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,39}$/;
const VALUE_BYTES_MAX = 8192;
const VARIABLES_MAX = 1000;

export const Changes = z.array(z.object({ name: z.string(), value: z.string().nullable() }));
export type Changes = z.infer<typeof Changes>;

export type Bindings = Readonly<Record<string, EnvBinding>>;

/** Environment variables of the deployment: what functions see as `process.env`. */
export class Environment {
  readonly #store: Store;
  readonly #system: () => Record<string, string>;
  readonly #cached = new Map<string, Readonly<Record<string, string>>>();
  #bindings: ReadonlyMap<string, Bindings> = new Map();

  /** `system` gives the variables that are always there, such as CONVEX_CLOUD_URL. */
  constructor(store: Store, system: () => Record<string, string>) {
    this.#store = store;
    this.#system = system;
  }

  /** What the user has set. */
  all(): Record<string, string> {
    const rows = this.#store.sql.orm.select().from(environment).orderBy(environment.name).all();
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }

  /** What a function sees. The app sees what the user has set, a component what its parent has given to it. */
  visible(component: string): Readonly<Record<string, string>> {
    let visible = this.#cached.get(component);
    if (visible === undefined) {
      visible = Object.freeze(
        component === ROOT ? { ...this.all(), ...this.#system() } : this.#given(component),
      );
      this.#cached.set(component, visible);
    }
    return visible;
  }

  /** What the variables of components are bound to, by path of the component. */
  bind(bindings: ReadonlyMap<string, Bindings>): void {
    this.#bindings = bindings;
    this.#cached.clear();
  }

  #given(component: string): Record<string, string> {
    const bindings = this.#bindings.get(component);
    return bindings === undefined ? {} : bound(bindings, this.visible(parentPath(component)));
  }

  /** Sets variables, removes those with a null value. Throws UserError before anything is changed. */
  update(changes: Changes): void {
    const names = new Set(Object.keys(this.all()));
    for (const { name, value } of changes) {
      if (!NAME.test(name))
        throw new UserError("InvalidEnvironmentVariable", `${JSON.stringify(name)} is not a valid name`);
      if (name in this.#system()) throw new UserError("InvalidEnvironmentVariable", `${name} is built in`);
      if (value !== null && Buffer.byteLength(value) > VALUE_BYTES_MAX) {
        throw new UserError("InvalidEnvironmentVariable", `${name} is longer than ${VALUE_BYTES_MAX} bytes`);
      }
      if (value === null) names.delete(name);
      else names.add(name);
    }
    if (names.size > VARIABLES_MAX) {
      throw new UserError("InvalidEnvironmentVariable", `There can be at most ${VARIABLES_MAX} variables`);
    }
    const { orm, raw } = this.#store.sql;
    raw.transaction(() => {
      for (const { name, value } of changes) {
        orm.delete(environment).where(eq(environment.name, name)).run();
        if (value !== null) orm.insert(environment).values({ name, value }).run();
      }
    })();
    this.#cached.clear();
  }
}
