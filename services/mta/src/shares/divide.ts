/** How a limit is divided among those who want of it: nobody gets less than an equal part unless he wants less. */

/** `order` settles who gets what cannot be divided: the smallest first. */
export type Want = { id: string; wanted: number; order: number };

/**
 * Whole parts of `limit`, in all exactly `limit` (and 0 for everybody when nobody asks). First what is wanted, by equal parts; what
 * nobody wants is spread evenly, so that the next one who wants it has it already.
 */
export function divideWhole(limit: number, wants: readonly Want[]): Map<string, number> {
  const parts = new Map<string, number>(wants.map(({ id }) => [id, 0]));
  const inOrder = wants.toSorted((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
  const rest = hand(parts, Math.max(0, Math.floor(limit)), inOrder, ({ wanted }) => Math.ceil(wanted));
  hand(parts, rest, inOrder, () => Number.POSITIVE_INFINITY);
  return parts;
}

/** Gives equal whole parts up to what `capOf` allows beyond what was given before; tells what is left. */
function hand(
  parts: Map<string, number>,
  amount: number,
  inOrder: readonly Want[],
  capOf: (want: Want) => number,
): number {
  const given = new Map<string, number>();
  const roomOf = (want: Want) => capOf(want) - (given.get(want.id) ?? 0);
  let left = amount;
  let open = inOrder.filter((want) => roomOf(want) > 0);
  while (left > 0 && open.length > 0) {
    const each = Math.floor(left / open.length);
    for (const want of open) {
      if (left === 0) break;
      const part = Math.min(Math.max(each, 1), left, roomOf(want));
      given.set(want.id, (given.get(want.id) ?? 0) + part);
      left -= part;
    }
    open = open.filter((want) => roomOf(want) > 0);
  }
  for (const [id, part] of given) parts.set(id, (parts.get(id) ?? 0) + part);
  return left;
}

/** Rates are told in thousandths of the limit, rounded down: a change that small is not worth a write. */
const grains = 1_000;

/** Parts of a rate, in all at most `limit` and less by no more than a thousandth for each. An unlimited rate is everybody's. */
export function divideRate(limit: number, wants: readonly Want[]): Map<string, number> {
  if (limit === Number.POSITIVE_INFINITY) return new Map(wants.map(({ id }) => [id, limit]));
  const inGrains = wants.map((want) => ({
    ...want,
    wanted: limit > 0 ? Math.min(grains, (want.wanted / limit) * grains) : 0,
  }));
  const parts = divideWhole(grains, inGrains);
  return new Map([...parts].map(([id, part]) => [id, (part * limit) / grains]));
}
