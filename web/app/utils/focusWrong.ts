/** Puts the focus into the first field that a form found wrong: its words are read out there, and there it is mended. */
export function focusWrong({ errors }: { errors: readonly { id?: string | undefined }[] }): void {
  const id = errors.find((error) => error.id !== undefined)?.id;
  if (id !== undefined) document.getElementById(id)?.focus();
}
