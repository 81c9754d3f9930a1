/** A bounded number of places. `take` gives one as soon as it is free, in the order of asking; call its result to give it back. */
export function places(countMax: number): { take(): Promise<() => void> } {
  let free = countMax;
  const waiting: (() => void)[] = [];
  const giveBack = () => {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  };
  return {
    async take() {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      let isTaken = true;
      return () => {
        if (isTaken) giveBack();
        isTaken = false;
      };
    },
  };
}
