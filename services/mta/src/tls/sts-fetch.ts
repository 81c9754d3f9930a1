import { places } from "@tyto/service";
import type { Fetched } from "./sts.ts";

const fetchesMax = 30;
/** Fetches that wait for one of the places; more are put off. */
const fetchesWaitingMax = 2_000;

/** Fetches policies, a bounded number at a time. */
export function fetchInTurn(fetchPolicy: (domain: string) => Promise<Fetched>) {
  const room = places(fetchesMax);
  let asked = 0;
  return async (domain: string): Promise<Fetched> => {
    if (asked >= fetchesMax + fetchesWaitingMax)
      return {
        kind: "failed",
        problem: { result: "sts-policy-fetch-error", why: "too many policies are being fetched" },
      };
    asked++;
    const leave = await room.take();
    try {
      return await fetchPolicy(domain);
    } finally {
      leave();
      asked--;
    }
  };
}
