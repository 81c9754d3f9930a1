/** The places of the app, once: the sidebar, the command palette and the shortcuts are made from this list. `key` follows `g`. */
export const places = [
  { id: "home", route: "index", path: "/", icon: "i-lucide-house", key: "h", group: "mail" },
  { id: "messages", route: "messages", path: "/messages", icon: "i-lucide-mails", key: "m", group: "mail" },
  { id: "send", route: "send", path: "/send", icon: "i-lucide-send", key: "t", group: "mail" },
  { id: "inbound", route: "inbound", path: "/inbound", icon: "i-lucide-inbox", key: "i", group: "mail" },
  { id: "bounces", route: "bounces", path: "/bounces", icon: "i-lucide-undo-2", key: "b", group: "mail" },
  {
    id: "reports",
    route: "reports",
    path: "/reports",
    icon: "i-lucide-shield-check",
    key: "r",
    group: "mail",
  },
  {
    id: "queue",
    route: "queue",
    path: "/queue",
    icon: "i-lucide-list-ordered",
    key: "q",
    group: "operation",
  },
  {
    id: "sending",
    route: "sending",
    path: "/sending",
    icon: "i-lucide-network",
    key: "p",
    group: "operation",
  },
  { id: "rules", route: "rules", path: "/rules", icon: "i-lucide-scale", key: "u", group: "operation" },
  { id: "domains", route: "domains", path: "/domains", icon: "i-lucide-globe", key: "d", group: "setup" },
  { id: "inboxes", route: "inboxes", path: "/inboxes", icon: "i-lucide-at-sign", key: "a", group: "setup" },
  {
    id: "apiKeys",
    route: "api-keys",
    path: "/api-keys",
    icon: "i-lucide-key-round",
    key: "k",
    group: "setup",
  },
  {
    id: "suppressions",
    route: "suppressions",
    path: "/suppressions",
    icon: "i-lucide-ban",
    key: "s",
    group: "setup",
  },
] as const;
export type Place = (typeof places)[number];

export function useNavigation() {
  const { t } = useI18n();
  const route = useRoute();
  const isHere = (place: Place) =>
    place.path === "/"
      ? route.path === "/"
      : route.path === place.path || route.path.startsWith(`${place.path}/`);
  return (group: Place["group"]) =>
    places
      .filter((place) => place.group === group)
      .map((place) => ({
        label: t(`nav.${place.id}`),
        icon: place.icon,
        to: { name: place.route },
        active: isHere(place),
      }));
}
