import type { SimulatedDay, Simulation } from "../../../services/mta/src/simulator/simulate.ts";
import { colours, duration, table } from "../screen.ts";

const columns = 80;
const barColumns = 40;
const number = (value: number) => value.toLocaleString("en-US");

/** The month in words and pictures, for a terminal of 80 columns; without colours it reads as well. */
export function draw(simulation: Simulation): string {
  return [
    headline(simulation),
    "",
    ...drawCurve(simulation.days),
    "",
    ...drawProviders(simulation),
    "",
    ...drawDays(simulation.days),
    "",
    ...drawEnd(simulation),
  ].join("\n");
}

function headline({ scenario }: Simulation): string {
  const { volume, days, ips, mix, seed } = scenario;
  const parts = Object.values(mix).reduce((sum, part) => sum + part, 0);
  const shares = Object.entries(mix).map(([name, part]) => `${name} ${Math.round((100 * part) / parts)} %`);
  const addresses = ips === 1 ? "one new address" : `${ips} new addresses`;
  return colours.bold(
    wrapped(
      `${number(volume)} messages in ${days} days from ${addresses}: ${shares.join(", ")} (seed ${seed})`,
    ).join("\n"),
  );
}

/** One bar per day on a scale of tens, where a day of 50 and one of 50,000 both show: sent, and the rest of the cap. */
function drawCurve(days: readonly SimulatedDay[]): string[] {
  const most = Math.max(
    10,
    ...days.map(({ cap, delivered, bounced }) => Math.max(cap ?? 0, delivered + bounced)),
  );
  const length = (value: number) => Math.round((barColumns * Math.log10(1 + value)) / Math.log10(1 + most));
  const rows = days.map(({ day, cap, delivered, bounced, waiting, isHalted }) => {
    const sent = delivered + bounced;
    const full = length(sent);
    const rest = cap === undefined || isHalted ? 0 : Math.max(0, length(cap) - full);
    const bar =
      colours.green("█".repeat(full)) +
      colours.dim("░".repeat(rest)) +
      " ".repeat(Math.max(0, barColumns - full - rest));
    return [
      String(day).padStart(3),
      bar,
      number(sent).padStart(7),
      isHalted
        ? colours.red("   halted")
        : colours.dim(cap === undefined ? "no cap" : `of ${number(cap)}`.padStart(9)),
      waiting === 0 ? "" : number(waiting).padStart(8),
    ];
  });
  const head = `day  ${"sent █, rest of the cap ░ (by powers of ten)".padEnd(barColumns)}`;
  return [
    colours.dim(`${head}${"waiting".padStart(columns - head.length - 3)}`),
    ...table(rows).map((row) => row.trimEnd()),
  ];
}

const levels = "▁▂▃▄▅▆▇█";

/** How much each provider put off, day by day. */
function drawProviders({ days, scenario }: Simulation): string[] {
  const rows = Object.keys(scenario.mix).map((name) => {
    const shares = days.map(({ providers }) => {
      const { delivered = 0, deferred = 0, bounced = 0 } = providers[name] ?? {};
      return deferred / Math.max(1, delivered + deferred + bounced);
    });
    const line = shares
      .map((share) => (share === 0 ? "·" : levels.charAt(Math.min(7, Math.floor(share * 16)))))
      .join("");
    const sum = (kind: "delivered" | "deferred" | "bounced") =>
      days.reduce((total, { providers }) => total + (providers[name]?.[kind] ?? 0), 0);
    return [
      name,
      colours.yellow(squeezed(line)),
      `${number(sum("deferred"))} deferred`,
      `${number(sum("bounced"))} bounced`,
      colours.dim(`thinks ${days.at(-1)?.providers[name]?.reputation.toFixed(2) ?? "?"}`),
    ];
  });
  return [
    colours.dim("deferred, part of each day's attempts (a full block: half of them and more);"),
    colours.dim("and what the provider thinks of the address at the end, from 0 to 1"),
    ...table(rows),
  ];
}

/** A long row of days in at most 30 columns: each column shows the worst of its days. */
function squeezed(line: string): string {
  const each = Math.ceil(line.length / 30);
  const worst = (part: string) =>
    [...part].toSorted((a, b) => levels.indexOf(b) - levels.indexOf(a))[0] ?? "";
  return (line.match(new RegExp(`.{1,${each}}`, "g")) ?? []).map(worst).join("");
}

/** What Tyto says of the first address at the end of each day; days that say the same stand together. */
function drawDays(days: readonly SimulatedDay[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < days.length; ) {
    const first = days[at];
    if (first === undefined) break;
    let last = first;
    while (days[at + 1]?.say === first.say) last = days[++at] ?? last;
    at++;
    const label = first.day === last.day ? `${first.day}` : `${first.day}–${last.day}`;
    const [head = "", ...rest] = wrapped(first.say, columns - 8);
    lines.push(`${label.padStart(5)}   ${head}`, ...rest.map((line) => `${" ".repeat(8)}${line}`));
  }
  return [colours.dim("  day   what is said of the first address at its end"), ...lines];
}

function drawEnd({
  days,
  finishedAtMs,
  startedAtMs,
  warmOnDay,
  haltedOnDay,
  totals,
  scenario,
}: Simulation): string[] {
  const behind = days.findLast(
    ({ waiting }, at) => waiting > (scenario.volume / scenario.days) * 0.5 && at >= 0,
  );
  const complaints = days.reduce((sum, day) => sum + day.complaints, 0);
  const good = colours.green("✓");
  const bad = colours.yellow("!");
  return [
    warmOnDay === undefined
      ? `${bad} not warm after ${scenario.days} days`
      : `${good} warm on day ${warmOnDay}`,
    ...(haltedOnDay === undefined ? [] : [`${colours.red("✗")} halted on day ${haltedOnDay}`]),
    finishedAtMs === undefined
      ? `${bad} ${number(totals.waiting)} messages still wait after ${scenario.days} days`
      : `${good} everything was over after ${duration(finishedAtMs - startedAtMs)}`,
    behind === undefined
      ? `${good} no mail waited over night`
      : `${bad} mail waited over night until day ${behind.day + 1}`,
    `  ${number(totals.delivered)} delivered, ${number(totals.bounced)} bounced, ${number(totals.deferrals)} times put off`,
    ...(complaints === 0 ? [] : [`${bad} ${number(complaints)} complaints were passed on by providers`]),
    ...(totals.expired === 0 ? [] : [`${bad} ${number(totals.expired)} of the bounced had waited too long`]),
  ];
}

/** Text in lines of at most `width` columns, broken between words. */
function wrapped(text: string, width = columns): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
