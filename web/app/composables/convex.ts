import { type ConnectionState, ConvexClient } from "convex/browser";
import {
  type FunctionArgs,
  type FunctionReference,
  type FunctionReturnType,
  getFunctionName,
  type PaginationOptions,
  type PaginationResult,
} from "convex/server";
import { convexToJson, type Value } from "convex/values";
import { livePages, type PagesState } from "~/utils/livePages.ts";

/** Live data: queries that Convex answers again by itself whenever their result changes. */

type Query = FunctionReference<"query">;
type PagedQuery = FunctionReference<
  "query",
  "public",
  { paginationOpts: PaginationOptions },
  PaginationResult<unknown>
>;
type Row<Q extends PagedQuery> = FunctionReturnType<Q>["page"][number];
type PageArgs<Q extends PagedQuery> = Omit<FunctionArgs<Q>, "paginationOpts">;

const tokenRetryMsMax = 15_000;
const errorRetryMs = 1_000;
const errorRetryMsMax = 30_000;
const rememberedResultsMax = 40;

let client: ConvexClient | undefined;
/** Last results by query and arguments, so that going back shows the page at once; the live answer replaces them. */
const remembered = new Map<string, unknown>();

function remember(key: string, result: unknown) {
  remembered.delete(key);
  remembered.set(key, result);
  const oldest = remembered.keys().next().value;
  if (remembered.size > rememberedResultsMax && oldest !== undefined) remembered.delete(oldest);
}

/** The one connection of the page; opened at first use, closed when the session ends. */
export function useConvex(): ConvexClient {
  if (client === undefined) {
    const session = useSession();
    client = new ConvexClient(`${location.origin}/convex`, {
      unsavedChangesWarning: false,
      skipConvexDeploymentUrlCheck: true,
      initialAuthTokenReuse: true,
    });
    client.setAuth(
      () => fetchToken(session.lose),
      // Convex refused the token: ask the gateway who we are, which leads to the sign-in page when we are nobody.
      (accepted) => void (accepted || session.load()),
    );
  }
  return client;
}

export function closeConvex(): void {
  void client?.close();
  client = undefined;
  remembered.clear();
}

/** A token, as soon as the gateway answers; null when the session is gone. Tries as long as the page is open, as the socket does. */
async function fetchToken(lose: () => Promise<void>): Promise<string | null> {
  for (let delayMs = 500; ; delayMs = Math.min(delayMs * 2, tokenRetryMsMax)) {
    try {
      return (await request<{ token: string }>("GET", "/api/token")).token;
    } catch (error) {
      if (problemOf(error).status === 401) {
        await lose();
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

const keyOf = (query: Query, args: unknown) =>
  `${getFunctionName(query)} ${JSON.stringify(convexToJson(args as Value))}`;

/** Asks again after an error, later each time, until an answer comes: a store that just started may not know its functions yet. */
function useRetry(ask: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let delayMs = errorRetryMs;
  const stop = () => clearTimeout(timer);
  onScopeDispose(stop);
  return {
    failed() {
      stop();
      timer = setTimeout(ask, delayMs);
      delayMs = Math.min(delayMs * 2, errorRetryMsMax);
    },
    answered() {
      stop();
      delayMs = errorRetryMs;
    },
  };
}

/**
 * A live query. While new arguments load, the old result stays and `stale` is true. `args` undefined: not asked.
 * After an error it is asked again by itself; `retry` does so at once.
 */
export function useLive<Q extends Query>(query: Q, args: MaybeRefOrGetter<FunctionArgs<Q> | undefined>) {
  const convex = useConvex();
  const data = shallowRef<FunctionReturnType<Q>>();
  const error = shallowRef<Error>();
  const stale = ref(false);
  let stop: (() => void) | undefined;
  // Compared by value: a new but equal object asks nothing again.
  const key = computed(() => {
    const value = toValue(args);
    return value === undefined ? undefined : keyOf(query, value);
  });
  const again = useRetry(ask);

  function ask() {
    stop?.();
    stop = undefined;
    const [value, name] = [toValue(args), key.value];
    if (value === undefined || name === undefined) return;
    stop = convex.onUpdate(
      query,
      value,
      (result) => {
        again.answered();
        data.value = result;
        error.value = undefined;
        stale.value = false;
        remember(name, result);
      },
      (failure) => {
        again.failed();
        error.value = failure;
        stale.value = false;
      },
    );
  }

  watch(
    key,
    (name) => {
      error.value = undefined;
      if (name === undefined) data.value = undefined;
      else if (remembered.has(name)) data.value = remembered.get(name) as FunctionReturnType<Q>;
      stale.value = data.value !== undefined;
      ask();
    },
    { immediate: true },
  );
  onScopeDispose(() => stop?.());
  const pending = computed(
    () => key.value !== undefined && data.value === undefined && error.value === undefined,
  );
  return { data, error, pending, stale, retry: ask };
}

/** A live query in pages: every loaded page stays live, and `loadMore` adds one. */
export function useLivePages<Q extends PagedQuery>(
  query: Q,
  args: MaybeRefOrGetter<PageArgs<Q>>,
  options: { rowsPerPage: number },
) {
  const convex = useConvex();
  const rows = shallowRef<Row<Q>[]>([]);
  const state = ref<PagesState>("loading");
  const error = shallowRef<Error>();
  let pages: ReturnType<typeof livePages> | undefined;
  const key = computed(() => keyOf(query, toValue(args)));
  const again = useRetry(ask);

  function ask() {
    pages?.stop();
    const [name, filter] = [key.value, toValue(args)];
    pages = livePages<Row<Q>>(
      (paginationOpts, onAnswer, onError) =>
        convex.onUpdate(query, { ...filter, paginationOpts } as FunctionArgs<Q>, onAnswer, onError),
      options.rowsPerPage,
      (view) => {
        if (view.error === undefined) again.answered();
        else again.failed();
        error.value = view.error;
        state.value = view.state;
        // While the first page loads, what is remembered stays in sight.
        if (view.state === "loading") return;
        rows.value = view.rows;
        remember(name, view.rows.slice(0, options.rowsPerPage));
      },
    );
  }

  watch(
    key,
    (name) => {
      rows.value = (remembered.get(name) as Row<Q>[] | undefined) ?? [];
      state.value = "loading";
      error.value = undefined;
      ask();
    },
    { immediate: true },
  );
  onScopeDispose(() => pages?.stop());
  /** True until there is something to show. */
  const pending = computed(
    () =>
      (state.value === "loading" || state.value === "loading-more") &&
      rows.value.length === 0 &&
      error.value === undefined,
  );
  return { rows, state, error, pending, retry: ask, loadMore: () => pages?.loadMore() };
}

/** The socket's state, for the badge. `lost` is true once a connection that stood, or the first one, is being tried again. */
export function useConnection() {
  const convex = useConvex();
  const state = shallowRef<ConnectionState>(convex.connectionState());
  onScopeDispose(convex.subscribeToConnectionState((value) => (state.value = value)));
  return {
    lost: computed(
      () =>
        !state.value.isWebSocketConnected &&
        (state.value.hasEverConnected || state.value.connectionRetries > 0),
    ),
  };
}
