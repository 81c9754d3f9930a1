/** Of two clocks the one that went on further: the first stops while a machine sleeps, the second can be set back. */
export function createElapsed(monotonicMs: () => number, wallMs: () => number): () => number {
  let [monotonic, wall, elapsed] = [monotonicMs(), wallMs(), 0];
  return () => {
    const [nextMonotonic, nextWall] = [monotonicMs(), wallMs()];
    elapsed += Math.max(0, nextMonotonic - monotonic, nextWall - wall);
    [monotonic, wall] = [nextMonotonic, nextWall];
    return elapsed;
  };
}
