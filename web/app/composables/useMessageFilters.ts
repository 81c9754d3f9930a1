/** What the list of messages is narrowed to, held in the URL. */
export function useMessageFilters() {
  const status = useQueryState("status");
  const recipient = useQueryState("recipient");
  const tag = useQueryState("tag");
  const domain = useQueryState("domain");

  const args = computed(() => {
    const named = statusOf(status.value);
    return {
      ...(named === undefined ? {} : { status: named }),
      // The address may not be typed to its end yet, or may be a domain or words: convex/model/search.ts tells.
      ...(recipient.value.trim() === "" ? {} : { search: recipient.value.trim() }),
      ...(tag.value === "" ? {} : { tag: tag.value }),
      ...(domain.value === "" ? {} : { domain: domain.value }),
    };
  });
  const active = computed(() => Object.keys(args.value).length > 0);
  const router = useRouter();
  const clear = () => void router.replace({ query: {} });

  return { status, recipient, tag, domain, args, active, clear };
}
