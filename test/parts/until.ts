/** Waits until `condition` gives something truthy and returns it; after `withinMs` fails with `what` and what `state` tells. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  {
    withinMs = 40_000,
    everyMs = 50,
    state,
  }: { withinMs?: number; everyMs?: number; state?: () => unknown } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline)
      throw new Error(
        `waited ${withinMs} ms in vain: ${what}${state === undefined ? "" : ` ${JSON.stringify(state())}`}`,
      );
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
