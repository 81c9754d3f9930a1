import { type Bus, type Consumption, done } from "@tyto/bus";
import type { Breakers } from "./breakers.ts";

const atOnceMax = 100;

/** Hands to the breakers what came back after a server had taken it. What was bounced by servers they saw themselves. */
export const hearFeedback = (
  bus: Pick<Bus, "consume">,
  breakers: Pick<Breakers, "hear">,
): Promise<Consumption> =>
  bus.consume(
    "mta-feedback",
    {
      async "mail.complained"(complained) {
        breakers.hear({ complained });
        return done;
      },
      async "mail.bounced"(bounced) {
        breakers.hear({ bounced });
        return done;
      },
    },
    { concurrency: atOnceMax },
  );
