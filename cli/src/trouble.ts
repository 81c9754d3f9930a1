/**
 * Something that the person at the keyboard can mend. `main.ts` prints the message and the hint and nothing else;
 * any other error is a defect of Tyto and is printed with its stack.
 */
export class Trouble extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "Trouble";
    this.hint = hint;
  }
}
