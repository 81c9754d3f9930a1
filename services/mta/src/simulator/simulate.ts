import { midnightAfter } from "../warming/schedule.ts";
import { Agenda, seeded } from "./agenda.ts";
import { Diary } from "./diary.ts";
import { entryOf, type Happening, lanesOf, planArrivals } from "./lanes.ts";
import { dayMs, type Scenario, type Simulation, startMs } from "./scenario.ts";
import { Sender, saveMs } from "./sender.ts";
import { receiverOf } from "./weather.ts";

export type { ProviderDay, Scenario, SimulatedDay, Simulation } from "./scenario.ts";

/**
 * Days of mail from new addresses to receivers that think little of them at first, in virtual time, through the same
 * pools, warming, shaping and retry schedule that the mta sends with. The same scenario gives the same days.
 */
export async function simulate(scenario: Scenario): Promise<Simulation> {
  const random = seeded(scenario.seed);
  const clock = { nowMs: startMs };
  const names = Object.keys(scenario.mix).filter((name) => (scenario.mix[name] ?? 0) > 0);
  const receivers = new Map(names.map((name) => [name, receiverOf(scenario, name, random)]));
  const agenda = new Agenda<Happening>();
  const pick = lanesOf(scenario, names, random);
  const diary = new Diary(names, planArrivals(scenario, agenda, random));
  const sender = new Sender(scenario.ips, { clock, random, receivers, agenda, diary });

  async function happen(what: Happening): Promise<void> {
    switch (what.kind) {
      case "save":
        await sender.save();
        if (diary.over < diary.accepted) agenda.add(clock.nowMs + saveMs, what);
        break;
      case "arrive":
        for (let n = 0; n < what.count; n++) {
          const lane = pick(what.traffic);
          const isUnknown = random() < scenario.unknown;
          lane.fresh.push({ entry: entryOf(diary.arrived++, lane, clock.nowMs), isUnknown });
          sender.wake(lane);
        }
        break;
      case "again":
        what.lane.again.push(what.message);
        sender.wake(what.lane);
        break;
      case "complaint":
        sender.hear(what.report);
        break;
      case "turn":
        await sender.turn(what.lane);
        break;
    }
  }

  const endMs = startMs + scenario.days * dayMs;
  let dayEndMs = midnightAfter(startMs);
  const endDaysUntil = (untilMs: number) => {
    for (; dayEndMs <= untilMs; dayEndMs += dayMs) {
      clock.nowMs = dayEndMs;
      diary.endDay(dayEndMs, sender.statuses(), receivers);
    }
  };
  agenda.add(startMs, { kind: "save" });
  for (let item = agenda.next(); item !== undefined && item.atMs < endMs; item = agenda.next()) {
    const nowMs = Math.max(clock.nowMs, item.atMs);
    endDaysUntil(nowMs);
    clock.nowMs = nowMs;
    await happen(item.what);
  }
  endDaysUntil(endMs);
  return diary.close(scenario, startMs);
}
