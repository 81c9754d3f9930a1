/**
 * A bounded number of places. `take` gives one, or `count` of them, as soon as they are free, in the order of asking; call its
 * result to give them back. More than there are counts as all of them.
 */
export function places(countMax: number): { take(count?: number): Promise<() => void> } {
  let free = countMax;
  const waiting: { count: number; enter: () => void }[] = [];
  const admit = () => {
    for (let next = waiting[0]; next !== undefined && next.count <= free; next = waiting[0]) {
      waiting.shift();
      free -= next.count;
      next.enter();
    }
  };
  return {
    async take(asked = 1) {
      const count = Math.min(asked, countMax);
      await new Promise<void>((enter) => {
        waiting.push({ count, enter });
        admit();
      });
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        free += count;
        admit();
      };
    },
  };
}
