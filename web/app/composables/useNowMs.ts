const tickMs = 5_000;

/** The time, moved on every few seconds by one timer for the whole page: for "3 minutes ago" and live windows. */
export function useNowMs(): Readonly<Ref<number>> {
  return useState("now", () => {
    const nowMs = ref(Date.now());
    setInterval(() => {
      nowMs.value = Date.now();
    }, tickMs);
    return nowMs;
  });
}
