/** Room for a bounded number of things at a time. Who does not fit waits, in the order of coming. */
export function createRoom(max: number) {
  let taken = 0;
  const waiting: { count: number; enter: () => void }[] = [];

  const admit = () => {
    for (let next = waiting[0]; next !== undefined && taken + next.count <= max; next = waiting[0]) {
      waiting.shift();
      taken += next.count;
      next.enter();
    }
  };

  return {
    /** Runs `work` when there is room for `count`; more than there can ever be counts as all of it. */
    async within<T>(count: number, work: () => Promise<T>): Promise<T> {
      const needed = Math.min(count, max);
      await new Promise<void>((enter) => {
        waiting.push({ count: needed, enter });
        admit();
      });
      try {
        return await work();
      } finally {
        taken -= needed;
        admit();
      }
    },
  };
}
