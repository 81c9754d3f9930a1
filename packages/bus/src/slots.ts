/**
 * Which task runs next: at most `concurrency` at a time, at most `perLane` of one lane, lanes in turn, and never two
 * with the same key side by side.
 */
export type Task = {
  key?: string;
  /** Places that it takes, where that is more than one. */
  weight?: number;
  run(): Promise<void>;
};

export type Slots = {
  push(lane: number, task: Task): void;
  /** Takes back what has not begun. */
  clear(): void;
  /** Resolves when nothing runs and nothing waits. */
  whenIdle(): Promise<void>;
};

export function createSlots(concurrency: number, perLane: number, lanesCount = 1): Slots {
  const lanes = Array.from({ length: lanesCount }, () => ({ waiting: [] as Task[], running: 0 }));
  const keys = new Set<string>();
  const idle = new Set<() => void>();
  let running = 0;
  let turn = 0;

  const isFree = ({ key }: Task) => key === undefined || !keys.has(key);

  const next = () => {
    for (let step = 0; step < lanes.length; step++) {
      const lane = lanes[(turn + step) % lanes.length];
      if (lane === undefined || lane.running >= perLane) continue;
      const index = lane.waiting.findIndex(isFree);
      if (index < 0) continue;
      turn = (turn + step + 1) % lanes.length;
      const [task] = lane.waiting.splice(index, 1);
      return task && { lane, task };
    }
    return undefined;
  };

  const launch = () => {
    while (running < concurrency) {
      const found = next();
      if (found === undefined) break;
      const { lane, task } = found;
      const { key, weight = 1 } = task;
      running += weight;
      lane.running += weight;
      if (key !== undefined) keys.add(key);
      void task.run().finally(() => {
        running -= weight;
        lane.running -= weight;
        if (key !== undefined) keys.delete(key);
        launch();
        wakeIdle();
      });
    }
  };
  const isIdle = () => running === 0 && lanes.every(({ waiting }) => waiting.length === 0);
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
      for (const lane of lanes) lane.waiting.length = 0;
      wakeIdle();
    },
    whenIdle: () => (isIdle() ? Promise.resolve() : new Promise<void>((resolve) => void idle.add(resolve))),
  };
}
