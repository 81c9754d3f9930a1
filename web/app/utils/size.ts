/** Bytes for people, in powers of 1024: `812 B`, `14.2 KiB`, `3 MiB`. */
export function formatBytes(bytes: number, locale: string): string {
  if (bytes < 1_024) return `${bytes} B`;
  const [size, unit] = bytes < 1_048_576 ? [bytes / 1_024, "KiB"] : [bytes / 1_048_576, "MiB"];
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(size)} ${unit}`;
}

/** A count with the language's thousands separators. */
export function formatCount(count: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(count);
}

/** A share of 0 to 1 as a percentage with at most one decimal; `–` when there is nothing to divide. */
export function formatShare(part: number, whole: number, locale: string): string {
  if (whole === 0) return "–";
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 }).format(part / whole);
}
