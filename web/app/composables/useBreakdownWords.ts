import { providerLabel } from "@tyto/contracts";
import { type BreakdownBy, type BreakdownView, otherKey, unknownKey } from "~/utils/breakdown.ts";

/** What a key of a breakdown is called: reasons have words, providers and domains are names. */
export function useBreakdownWords() {
  const { t, te } = useI18n();
  return (view: BreakdownView, by: BreakdownBy, key: string): string => {
    if (key === otherKey) return t("bounce.other");
    if (key === unknownKey) return t("bounce.unknown");
    if (by !== "reason") return by === "provider" ? providerLabel(key) : key;
    const name = key.replaceAll(".", "-");
    const path = {
      bounces: `reason.${name}`,
      complaints: `bounce.feedback.${name}`,
      unsubscribes: `bounce.method.${name}`,
    }[view];
    return te(path) ? t(path) : key;
  };
}
