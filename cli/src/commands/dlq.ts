import { join } from "node:path";
import { type DeadLetter, type DeadLetters, openDeadLetters } from "@tyto/bus";
import { Failure } from "@tyto/contracts";
import { type Command, parseArguments } from "../arguments.ts";
import { busLog } from "../bus-log.ts";
import { findRunning } from "../installation/running.ts";
import { readSecrets } from "../installation/secrets.ts";
import { environment, places } from "../places.ts";
import { colours, marks, say, table } from "../screen.ts";
import { Trouble } from "../trouble.ts";

const listMax = 100;

export const command: Command = {
  usage: [
    "tyto dlq list [--from NUMBER]     what broke its contract or was rejected, oldest first",
    "tyto dlq show NUMBER              one dead letter, with its payload",
    "tyto dlq retry NUMBER...          publishes it again where it came from, and removes it here",
    "",
    "  --data DIR   data folder of the installation, which must be running (default: data/, or TYTO_DATA)",
  ].join("\n"),
  async run(argv) {
    const options = { data: { type: "string" }, from: { type: "string" } } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, {
      needs: [`the action (${Object.keys(actions).join(", ")})`],
      most: 1_000,
    });
    const [action = "", ...numbers] = positionals;
    const act = actions[action];
    if (!act) throw new Trouble(`there is no "tyto dlq ${action}"`, this.usage);
    if (action !== "list" && numbers.length === 0)
      throw new Trouble("the NUMBER of a dead letter is missing", this.usage);
    const env = { ...environment(), ...(values.data === undefined ? {} : { TYTO_DATA: values.data }) };
    const letters = await open(places(env).dataDir);
    try {
      await act(letters, numbers.map(readNumber), values.from === undefined ? 1 : readNumber(values.from));
      return 0;
    } catch (error) {
      if (error instanceof Failure) throw new Trouble(error.message, "see ./tyto dlq list", error);
      throw error;
    } finally {
      await letters.close();
    }
  },
};

type Action = (letters: DeadLetters, numbers: readonly number[], from: number) => Promise<void>;

const actions: Record<string, Action> = {
  async list(letters, _numbers, from) {
    const found = await letters.list(from, listMax);
    if (found.length === 0) say(`${marks.ok} there are no dead letters`);
    for (const line of table(found.map(row))) say(line);
    const last = found.at(-1);
    if (last && found.length === listMax)
      say(colours.dim(`more: ./tyto dlq list --from ${last.sequence + 1}`));
  },
  async show(letters, numbers) {
    for (const number of numbers) say(describe(await letters.show(number)));
  },
  async retry(letters, numbers) {
    for (const number of numbers) {
      const { subject } = await letters.retry(number);
      say(`${marks.ok} ${number} published again as ${subject}`);
    }
  },
};

const row = ({ sequence, diedAt, durable, subject, reason }: DeadLetter) => [
  colours.bold(String(sequence)),
  colours.dim(diedAt.slice(0, 19)),
  durable,
  subject,
  reason.split("\n")[0] ?? "",
];

export function describe(letter: DeadLetter): string {
  const { text, ...facts } = letter;
  const rows = table(Object.entries(facts).map(([name, value]) => [colours.dim(name), String(value)]));
  return [...rows, "", indent(text), ""].join("\n");
}

/** JSON laid out; anything else, which is why some letters died, as it is. */
function indent(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    // Not JSON.
    return text;
  }
}

function readNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Trouble(`"${text}" is not the number of a dead letter`, "see ./tyto dlq list");
  return number;
}

async function open(dataDir: string): Promise<DeadLetters> {
  const running = await findRunning(dataDir);
  if (!running) throw new Trouble(`Tyto is not running on ${dataDir}`, "start it with ./tyto up");
  const secrets = await readSecrets(join(dataDir, "secrets.env"));
  return openDeadLetters(
    { url: running.natsUrl, user: "admin", password: secrets.NATS_ADMIN_PASSWORD },
    busLog,
  );
}
