/** What is written while one turn of the event loop runs leaves together, earlier when it is more than this. */
const heldCharsMax = 32_768;

export type Lines = { write(line: string): void; flush(): void };

/** Gathers lines: a system call for each one costs a busy service more than to write it. */
export function createLines(out: (text: string) => void): Lines {
  let held = "";
  let isDue = false;
  function flush() {
    if (held === "") return;
    const text = held;
    held = "";
    out(text);
  }
  return {
    write(line) {
      held += line;
      if (held.length > heldCharsMax) return flush();
      if (isDue) return;
      isDue = true;
      setImmediate(() => {
        isDue = false;
        flush();
      });
    },
    flush,
  };
}
