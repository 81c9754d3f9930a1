/** Which task runs next: at most `concurrency` places at a time, at most its own number of one lane, lanes in turn. */
export type Task = {
  /** Places that it takes. */
  weight: number;
  /** `free` gives places back before the end; it keeps one. */
  run(free: (places: number) => void): Promise<void>;
};

export type Slots = {
  push(lane: number, task: Task): void;
  /** Takes back what has not begun. */
  clear(): void;
  /** Resolves when nothing runs and nothing waits. */
  whenIdle(): Promise<void>;
};

/** `placesOf` has one number for each lane. */
export function createSlots(concurrency: number, placesOf: readonly number[]): Slots {
  const lanes = placesOf.map((places) => ({ places, waiting: createFifo<Task>(), running: 0 }));
  const idle = new Set<() => void>();
  let running = 0;
  let turn = 0;

  const next = () => {
    for (let step = 0; step < lanes.length; step++) {
      const lane = lanes[(turn + step) % lanes.length];
      if (lane === undefined || lane.running >= lane.places) continue;
      const task = lane.waiting.shift();
      if (task === undefined) continue;
      turn = (turn + step + 1) % lanes.length;
      return { lane, task };
    }
    return undefined;
  };

  const launch = () => {
    while (running < concurrency) {
      const found = next();
      if (found === undefined) break;
      const { lane, task } = found;
      let held = 0;
      const hold = (places: number) => {
        held += places;
        running += places;
        lane.running += places;
      };
      const free = (places: number) => {
        hold(-Math.max(0, Math.min(places, held - 1)));
        launch();
      };
      hold(task.weight);
      void task.run(free).finally(() => {
        hold(-held);
        launch();
        wakeIdle();
      });
    }
  };
  const isIdle = () => running === 0 && lanes.every(({ waiting }) => waiting.size() === 0);
  const wakeIdle = () => {
    if (!isIdle()) return;
    for (const wake of idle) wake();
    idle.clear();
  };

  return {
    push(index, task) {
      lanes[index]?.waiting.push(task);
      launch();
    },
    clear() {
      for (const lane of lanes) lane.waiting.clear();
      wakeIdle();
    },
    whenIdle: () => (isIdle() ? Promise.resolve() : new Promise<void>((resolve) => void idle.add(resolve))),
  };
}

/** First in, first out; a shift of an array of thousands would move all of them. */
function createFifo<T>() {
  let items: (T | undefined)[] = [];
  let head = 0;
  return {
    push: (item: T) => void items.push(item),
    shift(): T | undefined {
      const item = items[head];
      items[head++] = undefined;
      if (head >= items.length) {
        items = [];
        head = 0;
      }
      return item;
    },
    size: () => items.length - head,
    clear() {
      items = [];
      head = 0;
    },
  };
}
