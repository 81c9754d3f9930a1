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
      ...(recipient.value === "" ? {} : { recipient: recipient.value.trim().toLowerCase() }),
      ...(tag.value === "" ? {} : { tag: tag.value }),
      ...(domain.value === "" ? {} : { domain: domain.value }),
    };
  });
  const active = computed(() => Object.keys(args.value).length > 0);
  const router = useRouter();
  const clear = () => void router.replace({ query: {} });

  return { status, recipient, tag, domain, args, active, clear };
}
