/** What is held, in the language of the page: `Site google`, or `Organization acme at the site google` for a sender at one site alone. */
export function useHoldName() {
  const { t } = useI18n();
  return (scope: string, id: string, site?: string): string => {
    const name = scope === "everything" ? t("hold.scope.everything") : `${t(`hold.scope.${scope}`)} ${id}`;
    return site === undefined ? name : t("hold.atSite", { name, site });
  };
}
