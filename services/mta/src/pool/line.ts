import type { Traffic } from "@tyto/contracts";

/** Who waits, for whom, and how urgently. */
export type Place = { traffic: Traffic; owner: string };

/** Turns out of which one is bulk mail's even while transactional mail waits: nothing waits for ever. */
const bulkTurn = 10;

/**
 * Who comes next at a site: transactional mail before bulk mail, and in each kind the owners (an organization, or one
 * of its campaigns) in turn, however many each of them has waiting. Those of one owner stay in their order.
 */
export function createLine<T extends Place>() {
  const kinds = { transactional: createTurns<T>(), bulk: createTurns<T>() };
  let turns = 0;
  return {
    push: (item: T) => kinds[item.traffic].push(item),
    shift(): T | undefined {
      const isBulkTurn = ++turns % bulkTurn === 0;
      const [first, second] = isBulkTurn
        ? [kinds.bulk, kinds.transactional]
        : [kinds.transactional, kinds.bulk];
      return first.shift() ?? second.shift();
    },
    remove: (item: T) => kinds[item.traffic].remove(item),
    size: () => kinds.transactional.size() + kinds.bulk.size(),
    /** How many have their turn before one that comes now, roughly. */
    before({ traffic, owner }: Place): number {
      const { transactional, bulk } = kinds;
      const urgent = transactional.before(owner);
      return traffic === "transactional" ? urgent : transactional.size() + bulk.before(owner);
    },
    all: (): T[] => [...kinds.transactional.all(), ...kinds.bulk.all()],
  };
}

function createTurns<T extends Place>() {
  /** In the order of their turns; an owner without anybody waiting is not there. */
  const owners = new Map<string, Set<T>>();
  let size = 0;
  return {
    push(item: T) {
      const own = owners.get(item.owner) ?? new Set();
      owners.set(item.owner, own);
      own.add(item);
      size++;
    },
    shift(): T | undefined {
      for (const [owner, own] of owners) {
        const next = own.values().next();
        owners.delete(owner);
        if (next.done) continue;
        own.delete(next.value);
        size--;
        if (own.size > 0) owners.set(owner, own);
        return next.value;
      }
      return undefined;
    },
    remove(item: T): boolean {
      const own = owners.get(item.owner);
      if (own?.delete(item) !== true) return false;
      size--;
      if (own.size === 0) owners.delete(item.owner);
      return true;
    },
    size: () => size,
    /** Owners take turns, so that one with a short line waits for as many rounds as its own line is long. */
    before(owner: string): number {
      const own = owners.get(owner)?.size ?? 0;
      let ahead = own;
      for (const [other, line] of owners) if (other !== owner) ahead += Math.min(line.size, own + 1);
      return ahead;
    },
    all: () => [...owners.values()].flatMap((own) => [...own]),
  };
}
