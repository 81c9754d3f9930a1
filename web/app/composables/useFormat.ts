/** Formatting in the language of the page. */
export function useFormat() {
  const { localeProperties } = useI18n();
  const language = computed(() => localeProperties.value.language ?? "en-US");
  const nowMs = useNowMs();
  return {
    language,
    span: (spanMs: number) => formatSpan(spanMs, language.value),
    left: (atMs: number) => formatLeft(atMs, nowMs.value, language.value),
    ago: (atMs: number) => formatAgo(atMs, nowMs.value, language.value),
    moment: (atMs: number) => formatMoment(atMs, language.value),
    clock: (atMs: number) => formatClock(atMs, language.value),
    slot: (atMs: number, withDay: boolean) => formatSlot(atMs, language.value, withDay),
    day: (atMs: number) => formatDay(atMs, language.value),
    /** Days that are counted in UTC, whatever the zone of this machine. */
    utcDay: (atMs: number) => formatDay(atMs, language.value, "UTC"),
    utcDate: (atMs: number) => formatDate(atMs, language.value, "UTC"),
    bytes: (bytes: number) => formatBytes(bytes, language.value),
    count: (count: number) => formatCount(count, language.value),
    share: (part: number, whole: number) => formatShare(part, whole, language.value),
  };
}
