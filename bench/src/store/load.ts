/** So much work by so many callers, each of which waits for one answer before it asks again. */

export type Load = { perS: number; p50Ms: number; p99Ms: number };

export const round = (value: number, digits = 2) => Number(value.toFixed(digits));

export const percentile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

export async function load(
  count: number,
  callers: number,
  work: (index: number) => Promise<unknown>,
): Promise<Load> {
  const latenciesMs: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let index = next++; index < count; index = next++) {
        const sentMs = performance.now();
        await work(index);
        latenciesMs.push(performance.now() - sentMs);
      }
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  latenciesMs.sort((left, right) => left - right);
  return {
    perS: Math.round(count / seconds),
    p50Ms: round(percentile(latenciesMs, 0.5)),
    p99Ms: round(percentile(latenciesMs, 0.99)),
  };
}
