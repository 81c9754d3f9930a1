/** Asked for at once, at most: packs may come where single events were expected. */
const roomMessagesMax = 256;

export type Load = ReturnType<typeof createLoad>;

/**
 * How many more messages there is room for, when messages hold different numbers of events and the bound is on events.
 * What the next ones will hold is guessed from the last ones; `weightMax` is the most that one can hold.
 */
export function createLoad(eventsMax: number, weightMax: number) {
  let events = 0;
  let usual = Math.max(1, Math.min(weightMax, eventsMax / 4));
  return {
    add(weight: number) {
      events += weight;
      usual += (weight - usual) / 4;
    },
    remove(weight: number) {
      events -= weight;
    },
    /** In messages. At least one when nothing is held, however much it may hold. */
    room: () =>
      Math.min(roomMessagesMax, Math.max(events === 0 ? 1 : 0, Math.floor((eventsMax - events) / usual))),
  };
}
