/**
 * A list in pages of which every page stays live. Each page is a live query of its own that starts where the one above
 * ends, so rows that move are neither lost nor shown twice. (Convex's own client has this as an experiment, which
 * throws a failed page past every handler.)
 */

/** One answer: Convex's PaginationResult, as far as it matters here. */
export type PageAnswer<Row> = {
  page: Row[];
  isDone: boolean;
  continueCursor: string;
  pageStatus?: "SplitRecommended" | "SplitRequired" | null;
};
export type PageOptions = { cursor: string | null; numItems: number; id: number };
/** Asks for one page, live; the answer ends the subscription. */
export type SubscribePage<Row> = (
  options: PageOptions,
  onAnswer: (answer: PageAnswer<Row>) => void,
  onError: (error: Error) => void,
) => () => void;

/** `loading`: nothing is known yet. `more`: rows follow. `done`: these are all. */
export type PagesState = "loading" | "more" | "loading-more" | "done";
export type PagesView<Row> = { rows: Row[]; state: PagesState; error: Error | undefined };

/** A page may hold fewer rows than asked for, even none: so many more are asked for in a row before a person is. */
const emptyPagesMax = 10;
/** The first page grows while new rows come; past so many times its size the list is asked for anew. */
const pageGrowthMax = 4;

type Page<Row> = { cursor: string | null; stop: () => void; answer?: PageAnswer<Row> };

export function livePages<Row>(
  subscribe: SubscribePage<Row>,
  rowsPerPage: number,
  onChange: (view: PagesView<Row>) => void,
): { loadMore: () => void; stop: () => void } {
  let pages: Page<Row>[] = [];
  let pagesWanted = 1;
  let emptyPages = 0;
  let error: Error | undefined;
  /** Tells Convex apart two walks over the same list: a new walk does not get the grown pages of the old one. */
  let walk = Math.floor(Math.random() * 1_000_000_000);

  function open(cursor: string | null): void {
    const page: Page<Row> = { cursor, stop: () => {} };
    pages.push(page);
    page.stop = subscribe(
      { cursor, numItems: rowsPerPage, id: walk },
      (answer) => take(page, answer),
      (failure) => {
        error = failure;
        publish();
      },
    );
  }

  function take(page: Page<Row>, answer: PageAnswer<Row>): void {
    const index = pages.indexOf(page);
    if (index < 0) return;
    page.answer = answer;
    error = undefined;
    if (answer.pageStatus === "SplitRequired" || answer.page.length > rowsPerPage * pageGrowthMax) {
      startOver();
      return;
    }
    const below = pages[index + 1];
    // The end moved, so what follows starts elsewhere.
    if (below !== undefined && (answer.isDone || below.cursor !== answer.continueCursor)) drop(index + 1);
    if (rowsOf(pages).length === 0 && !answer.isDone && emptyPages < emptyPagesMax) {
      emptyPages++;
      pagesWanted++;
    }
    const isLast = index === pages.length - 1;
    if (isLast && !answer.isDone && pages.length < pagesWanted) open(answer.continueCursor);
    publish();
  }

  function startOver(): void {
    pagesWanted = Math.max(1, Math.ceil(rowsOf(pages).length / rowsPerPage));
    drop(0);
    walk++;
    open(null);
  }

  function drop(from: number): void {
    for (const page of pages.splice(from)) page.stop();
  }

  function publish(): void {
    const last = pages.at(-1)?.answer;
    const state =
      last === undefined ? (pages.length === 1 ? "loading" : "loading-more") : last.isDone ? "done" : "more";
    onChange({ rows: rowsOf(pages), state, error });
  }

  open(null);
  return {
    loadMore: () => {
      const last = pages.at(-1)?.answer;
      if (last === undefined || last.isDone) return;
      emptyPages = 0;
      pagesWanted = pages.length + 1;
      open(last.continueCursor);
      publish();
    },
    stop: () => {
      drop(0);
      pages = [];
    },
  };
}

const rowsOf = <Row>(pages: readonly Page<Row>[]): Row[] => pages.flatMap((page) => page.answer?.page ?? []);
