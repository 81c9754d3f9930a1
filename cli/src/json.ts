/** `undefined` for what is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Who asks says what that means: an answer as text, a note that was cut short.
    return undefined;
  }
}
