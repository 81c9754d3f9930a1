import { expect, test } from "bun:test";
import { livePages, type PageAnswer, type PageOptions, type PagesView } from "./livePages.ts";

type Question = {
  options: PageOptions;
  answer: (answer: PageAnswer<number>) => void;
  fail: (error: Error) => void;
  open: boolean;
};

/** A store that answers when told to; `questions` are all pages ever asked for. */
function walk(rowsPerPage = 2) {
  const questions: Question[] = [];
  const views: PagesView<number>[] = [];
  const pages = livePages<number>(
    (options, answer, fail) => {
      const question = { options, answer, fail, open: true };
      questions.push(question);
      return () => {
        question.open = false;
      };
    },
    rowsPerPage,
    (view) => views.push(view),
  );
  const at = (index: number) => {
    const question = questions[index];
    if (question === undefined) throw new Error(`page ${index} was not asked for`);
    return question;
  };
  return { pages, questions, at, view: () => views.at(-1) };
}
const answer = (page: number[], continueCursor: string, isDone = false): PageAnswer<number> => ({
  page,
  continueCursor,
  isDone,
});

test("the second page starts where the first ends, and the last one says that it is the last", () => {
  const { pages, at, view } = walk();
  at(0).answer(answer([9, 8], "c8"));
  expect(view()).toEqual({ rows: [9, 8], state: "more", error: undefined });
  pages.loadMore();
  expect(view()?.state).toBe("loading-more");
  expect(at(1).options.cursor).toBe("c8");
  at(1).answer(answer([7], "end", true));
  expect(view()).toEqual({ rows: [9, 8, 7], state: "done", error: undefined });
  pages.loadMore();
  expect(view()?.state).toBe("done");
});

test("a new row on a grown first page appears at once, and the pages below stay", () => {
  const { pages, questions, at, view } = walk();
  at(0).answer(answer([9, 8], "c8"));
  pages.loadMore();
  at(1).answer(answer([7, 6], "c6"));
  at(0).answer(answer([10, 9, 8], "c8"));
  expect(view()?.rows).toEqual([10, 9, 8, 7, 6]);
  expect(questions.length).toBe(2);
});

test("where the end of a page moves, the pages below are asked for again from there", () => {
  const { pages, at, view } = walk();
  at(0).answer(answer([9, 8], "c8"));
  pages.loadMore();
  at(1).answer(answer([7, 6], "c6"));
  at(0).answer(answer([10, 9], "c9"));
  expect(at(1).open).toBe(false);
  expect(at(2).options.cursor).toBe("c9");
  at(2).answer(answer([8, 7], "c7"));
  expect(view()?.rows).toEqual([10, 9, 8, 7]);
});

test("a page that fails is said, and the next answer takes it back", () => {
  const { at, view } = walk();
  at(0).fail(new Error("no index"));
  expect(view()?.error?.message).toBe("no index");
  at(0).answer(answer([1], "end", true));
  expect(view()).toEqual({ rows: [1], state: "done", error: undefined });
});

test("empty pages are passed over, and after ten of them a person is asked", () => {
  const { pages, questions, at, view } = walk();
  for (let index = 0; index <= 10; index++) at(index).answer(answer([], `c${index}`));
  expect(questions.length).toBe(11);
  expect(view()?.state).toBe("more");
  pages.loadMore();
  at(11).answer(answer([5], "end", true));
  expect(view()).toEqual({ rows: [5], state: "done", error: undefined });
});

test("a page that grew too large is asked for anew, as deep as before, in a walk of its own", () => {
  const { questions, at, view } = walk();
  const grown = Array.from({ length: 9 }, (_, index) => 9 - index);
  at(0).answer(answer([2, 1], "c1"));
  at(0).answer(answer(grown, "c1"));
  expect(at(0).open).toBe(false);
  expect(at(1).options).toEqual({ cursor: null, numItems: 2, id: at(0).options.id + 1 });
  for (const [index, from] of [9, 7, 5, 3].entries())
    at(index + 1).answer(answer([from, from - 1], `c${from - 1}`));
  at(5).answer(answer([1], "end", true));
  expect(view()?.rows).toEqual(grown);
  expect(questions.filter((question) => question.open).length).toBe(5);
});

test("an answer that comes after its page was dropped changes nothing", () => {
  const { pages, at, view } = walk();
  at(0).answer(answer([2, 1], "c1"));
  pages.stop();
  at(0).answer(answer([9], "c9"));
  expect(view()?.rows).toEqual([2, 1]);
  expect(at(0).open).toBe(false);
});
