import type { TraceLineView } from "@tyto/contracts";
import type { RequestProblem } from "~/utils/problem.ts";

/** New lines are shown together, so that a fast dialogue does not draw the page for each. */
const drawEveryMs = 100;

/** The SMTP dialogue with a site as it happens, from `start` until `stop`, the stream's end, or leaving the page. */
export function useLiveTrace(site: () => string) {
  const dialogue = shallowRef(emptyDialogue);
  const isOpen = ref(false);
  /** Why it ended by itself. */
  const ended = ref<string>();
  const problem = shallowRef<RequestProblem>();
  const { lose } = useSession();
  let ending: AbortController | undefined;
  let waiting: TraceLineView[] = [];
  let dropped = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function draw(): void {
    timer = undefined;
    dialogue.value = addLines(dialogue.value, waiting, dropped);
    waiting = [];
    dropped = 0;
  }
  function take(event: TraceEvent): void {
    if (event.name === "end") {
      ended.value = event.data.why;
      return;
    }
    if (event.name === "dropped") dropped += event.data.lines;
    else if (waiting.length < linesMax) waiting.push(event.data);
    else dropped++;
    timer ??= setTimeout(draw, drawEveryMs);
  }

  async function start(): Promise<void> {
    stop();
    const mine = new AbortController();
    ending = mine;
    dialogue.value = emptyDialogue;
    ended.value = undefined;
    problem.value = undefined;
    isOpen.value = true;
    try {
      await follow(site(), take, mine.signal);
    } catch (error) {
      if (!mine.signal.aborted) problem.value = problemOf(error);
      if (problem.value?.code === "request.unauthenticated") await lose();
    } finally {
      if (ending === mine) isOpen.value = false;
    }
  }
  function stop(): void {
    ending?.abort();
    isOpen.value = false;
  }
  function clear(): void {
    dialogue.value = { ...emptyDialogue, taken: dialogue.value.taken };
  }
  onScopeDispose(() => {
    stop();
    clearTimeout(timer);
  });

  return { dialogue, isOpen: readonly(isOpen), ended: readonly(ended), problem, start, stop, clear };
}

/** Throws RequestFailure with what the gateway answered, or with code `network`. */
async function follow(site: string, take: (event: TraceEvent) => void, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`/v1/sites/${encodeURIComponent(site)}/trace`, {
    headers: { accept: "text/event-stream" },
    credentials: "same-origin",
    signal,
  });
  if (!answer.ok || answer.body === null)
    throw new RequestFailure(toRequestProblem(answer.status, await answer.text()));
  const read = createEventReader();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of read(value)) take(event);
  }
}
