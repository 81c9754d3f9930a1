import { expect, test } from "bun:test";
import { Failure } from "@tyto/contracts";
import { createAttempts } from "./attempts.ts";

const clock = { now: 0 };
const start = () => createAttempts(() => clock.now);

test("so many attempts a minute, then a wait until the minute is over", () => {
  const attempts = start();
  for (let attempt = 0; attempt < 3; attempt++) attempts.count("ada", 3);
  clock.now += 20_000;
  try {
    attempts.count("ada", 3);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect(error as Failure).toMatchObject({ code: "limit.exceeded", retryAfterS: 40 });
  }
  attempts.count("bob", 3);
  clock.now += 40_000;
  attempts.count("ada", 3);
});

test("a success forgets the attempts before it", () => {
  const attempts = start();
  attempts.count("ada", 1);
  attempts.forget("ada");
  attempts.count("ada", 1);
});

test("the memory is bounded: the key that was quiet longest is forgotten", () => {
  const attempts = start();
  attempts.count("first", 1);
  for (let key = 0; key < 10_000; key++) attempts.count(`key ${key}`, 1);
  attempts.count("first", 1);
  expect(() => attempts.count("key 9999", 1)).toThrow();
});
