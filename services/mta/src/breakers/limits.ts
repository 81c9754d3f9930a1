/**
 * When a sender is stopped: so many of the last messages were for nobody, or were complained about. A limit is a count, not
 * a share of what was sent so far: eight bounces stop a list after eight messages as well as after fifty.
 *
 * The numbers are chosen so that a sender in good order is practically never stopped (less than one in 10,000 full windows)
 * and a bad one practically always (`limits.test.ts` computes both from the binomial distribution):
 * - In good order means 2 % unknown recipients and 0.1 % complaints, which is what the large providers ask for.
 * - Short windows are for bad lists: they stop within the first hundred messages. Long ones are for slow harm. A limit
 *   of 8 % of 100, as others have it, would stop a sender of 100,000 a day weekly with 2 % unknown recipients and daily with 3 %; one
 *   of 0.2 % complaints of 100 messages means that a single complaint stops anybody.
 * - Gmail and Yahoo treat senders above 0.3 % complaints as spammers; that is only seen in thousands of messages.
 */
export type Limit = { sentMax: number; bouncedMax: number; complainedMax: number };

const limit = (sentMax: number, bounceRate: number, complaintRate: number): Limit => ({
  sentMax,
  bouncedMax: Math.floor(sentMax * bounceRate),
  complainedMax: Math.floor(sentMax * complaintRate),
});

export const limits: readonly Limit[] = [
  limit(50, 0.15, 0.05),
  limit(200, 0.08, 0.02),
  limit(1_000, 0.05, 0.008),
  limit(5_000, 0.04, 0.003),
];
