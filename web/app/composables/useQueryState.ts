/**
 * One value held in the URL's query, so that a filtered page can be shared and survives a reload. Empty means absent.
 */
export function useQueryState(name: string) {
  const route = useRoute();
  const router = useRouter();
  return computed({
    get: () => {
      const value = route.query[name];
      return typeof value === "string" ? value : "";
    },
    set: (value: string) => {
      const { [name]: _, ...others } = router.currentRoute.value.query;
      void router.replace({ query: value === "" ? others : { ...others, [name]: value } });
    },
  });
}
