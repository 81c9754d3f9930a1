import { createReceiver, manners, type Receiver } from "./receivers.ts";
import { dayMs, type Scenario, startMs } from "./scenario.ts";

/** The receiver of a name, with its bad days. Throws TypeError for a name that nobody has. */
export function receiverOf({ complaints, weather }: Scenario, name: string, random: () => number): Receiver {
  const manner = manners[name] ?? manners.other;
  if (manner === undefined) throw new TypeError(`there is no receiver ${name}`);
  const fair = createReceiver(manner, complaints, random);
  if (weather?.provider !== name) return fair;
  const foul = createReceiver({ ...manner, ...weather.manner }, complaints, random);
  const isFoul = (nowMs: number) => {
    const day = Math.floor((nowMs - startMs) / dayMs) + 1;
    return day >= weather.fromDay && day <= weather.toDay;
  };
  return {
    receive: (mail, nowMs) => (isFoul(nowMs) ? foul : fair).receive(mail, nowMs),
    reputationOf: fair.reputationOf,
  };
}
