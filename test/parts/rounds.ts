/**
 * How many rounds a test goes that is as good with few of them as with many, only less likely to find what is rare: all in
 * `./tyto test`, which says so by TYTO_TEST_ROUNDS, and a few before each commit.
 */
export const isThorough = process.env.TYTO_TEST_ROUNDS === "all";

export const rounds = <T>(few: T, all: T): T => (isThorough ? all : few);
