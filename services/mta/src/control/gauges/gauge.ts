import { Gauge, type Registry } from "@tyto/service";

export type Row<Label extends string> = { labels: Record<Label, string | number>; value: number };

/** A gauge whose rows are asked for when the numbers are read. What has no row any more is not told. */
export function gaugeOf<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[],
  rows: () => Iterable<Row<Label>>,
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of rows()) this.set(labels, value);
    },
  });
}

/** The same of one number. */
export const numberOf = (registry: Registry, name: string, help: string, value: () => number): void =>
  gaugeOf(registry, name, help, [], () => [{ labels: {}, value: value() }]);
