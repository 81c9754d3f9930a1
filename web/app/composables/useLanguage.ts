/** As long as browsers keep a cookie: 400 days, in seconds (RFC 6265bis §5.5). */
const choiceAgeS = 400 * 86_400;

/**
 * The languages of the pages. Without a choice the browser's own decides, anew with each visit; a choice is kept in the cookie
 * that nuxt.config.ts names, and nothing else writes there.
 */
export function useLanguage() {
  const { locale, locales, setLocale } = useI18n();
  const choice = useCookie("tyto_language_choice", { maxAge: choiceAgeS, sameSite: "lax" });
  const languages = computed(() =>
    locales.value.map((one) => ({
      label: one.name,
      type: "checkbox" as const,
      checked: one.code === locale.value,
      onSelect() {
        choice.value = one.code;
        void setLocale(one.code);
      },
    })),
  );
  return { languages };
}
