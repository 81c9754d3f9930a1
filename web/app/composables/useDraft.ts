import type { Draft, DraftField, SendBody } from "~/utils/draft.ts";

type SendAnswer = {
  id: string;
  status: "accepted" | "scheduled";
  recipients: { address: string; status: "accepted" | "suppressed" }[];
};

/** The draft of a test mail and its sending. Wrong fields, ours and the gateway's, are listed by field. */
export function useDraft(initial: Pick<Draft, "to" | "subject" | "text">) {
  const draft = reactive<Draft>({
    fromName: "",
    fromLocal: "test",
    fromDomain: "",
    html: "",
    tags: ["test"],
    scheduledAt: "",
    ...initial,
  });
  const { t } = useI18n();
  const { pending, problem, send } = useRequest();
  const answer = shallowRef<SendAnswer>();
  /** What the gateway found wrong, until the field changes. */
  const refused = ref<{ name: DraftField; message: string }[]>([]);
  for (const name of Object.keys(draft) as DraftField[])
    watch(
      () => draft[name],
      () => {
        refused.value = refused.value.filter((one) => one.name !== name);
      },
      { deep: true },
    );

  const validate = (state: Partial<Draft>) =>
    draftProblems({ ...draft, ...state }, Date.now()).map(({ name, key }) => ({ name, message: t(key) }));
  const body = computed<SendBody>(() => toSendBody(draft));

  async function submit(): Promise<void> {
    const sent = await send<SendAnswer>("POST", "/v1/emails", body.value);
    if (sent !== undefined) {
      answer.value = sent.answer;
      return;
    }
    refused.value = (problem.value?.issues ?? []).flatMap((issue) => {
      const name = draftFieldOf(issue.path);
      return name === undefined ? [] : [{ name, message: issue.problem }];
    });
  }

  function again(): void {
    answer.value = undefined;
    problem.value = undefined;
  }

  return { draft, body, validate, submit, again, pending, problem, refused, answer };
}
