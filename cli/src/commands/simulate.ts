import { simulate } from "../../../services/mta/src/simulator/simulate.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { say } from "../screen.ts";
import { draw } from "../simulate/drawing.ts";
import { readScenario } from "../simulate/scenario.ts";
import { Trouble } from "../trouble.ts";

const text = { type: "string" } as const;

export const command: Command = {
  usage: [
    "tyto simulate     a month of mail from a new address, in seconds: warm-up, deferrals, when it is done",
    "",
    "  --days NUMBER          how long (default 30)",
    "  --volume NUMBER        messages over all days (200000); bulk mail comes once a day",
    "  --mix NAME=PART,...    who they go to: google, microsoft, yahoo, apple, other",
    "                         (google=45,microsoft=25,yahoo=15,other=15)",
    "  --ips NUMBER           new addresses to send from (1)",
    "  --transactional PART   of the mail, in per cent (10)",
    "  --unknown PART         recipients that do not exist, in per cent (0.5)",
    "  --complaints PART      recipients who call it spam, in per cent (0.05)",
    "  --seed NUMBER          the same seed gives the same month (1)",
    "  --json                 one JSON document instead of the drawing",
    "",
    "Pools, warming, shaping and retries are those of the mta; the receivers are models. Needs no server.",
  ].join("\n"),
  async run(argv) {
    const { values } = parseArguments(
      argv,
      {
        ...{ days: text, volume: text, mix: text, ips: text, seed: text },
        ...{ transactional: text, unknown: text, complaints: text },
        json: { type: "boolean" },
      },
      this.usage,
    );
    const { json, ...given } = values;
    const simulation = await simulate(scenarioOf(given, this.usage));
    say(json === true ? JSON.stringify(simulation) : draw(simulation));
    return 0;
  },
};

function scenarioOf(given: Parameters<typeof readScenario>[0], usage: string) {
  try {
    return readScenario(given);
  } catch (error) {
    if (error instanceof TypeError) throw new Trouble(error.message, usage, error);
    throw error;
  }
}
