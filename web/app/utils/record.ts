/** Reading what may be any JSON, such as an event's detail or an answer that is no problem document. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** `undefined` for an empty text, too. */
export const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
