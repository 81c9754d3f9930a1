/** The choice of light, dark or the system's, as menu entries. */
export function useThemes() {
  const { t } = useI18n();
  const mode = useColorMode();
  return computed(() =>
    (
      [
        ["system", "i-lucide-monitor"],
        ["light", "i-lucide-sun"],
        ["dark", "i-lucide-moon"],
      ] as const
    ).map(([theme, icon]) => ({
      label: t(`menu.themes.${theme}`),
      icon,
      type: "checkbox" as const,
      checked: mode.preference === theme,
      onSelect: () => {
        mode.preference = theme;
      },
    })),
  );
}
