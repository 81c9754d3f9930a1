import { type MeasureView, type SiteDetail, siteLimitBounds } from "@tyto/contracts";

/** What the form for a site's limits holds, as typed; an empty field sets nothing. */
export type LimitForm = {
  rate: string;
  unit: RateUnit;
  connections: string;
  forS: number;
  why: string;
  /** More than the ceiling, and meant so. */
  isAbove: boolean;
};
export const rateUnits = ["s", "min", "h"] as const;
export type RateUnit = (typeof rateUnits)[number];
/** From a quarter of an hour to a day, in seconds. */
export const limitSpansS: readonly number[] = [900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];

type Ceiling = NonNullable<SiteDetail["ceiling"]>;
export type LimitField = "rate" | "connections" | "forS" | "why" | "isAbove";

/** The body of `PUT /v1/sites/{domain}/limits`. */
export type LimitBody = {
  rate?: string;
  connections?: number;
  for_s: number;
  why?: string;
  above_ceiling?: true;
};

const perMinute: Readonly<Record<RateUnit, number>> = { s: 60, min: 1, h: 1 / 60 };
const forSUsual = 7_200;

/** Empty, or with what is set now. */
export function limitFormOf(
  set: Pick<MeasureView, "rate" | "connections_max" | "why"> | undefined,
): LimitForm {
  const [rate = "", unit] = set?.rate?.split("/") ?? [];
  return {
    rate,
    unit: rateUnits.find((one) => one === unit) ?? "min",
    connections: set?.connections_max === undefined ? "" : String(set.connections_max),
    forS: forSUsual,
    why: set?.why ?? "",
    isAbove: false,
  };
}

const numberOf = (text: string): number | undefined =>
  /^[1-9]\d{0,6}$/.test(text.trim()) ? Number(text.trim()) : undefined;

/** Is this more than Tyto gives the site by itself? */
export function isAboveCeiling(form: LimitForm, ceiling: Ceiling | undefined): boolean {
  if (ceiling === undefined) return false;
  const rate = (numberOf(form.rate) ?? 0) * perMinute[form.unit];
  return (
    rate > (ceiling.rate_per_minute ?? Number.POSITIVE_INFINITY) ||
    (numberOf(form.connections) ?? 0) > ceiling.connections
  );
}

/** The wrong fields with the i18n key of what to do, in the order of the form. The gateway has the last word. */
export function limitProblems(
  form: LimitForm,
  ceiling: Ceiling | undefined,
): { name: LimitField; key: string }[] {
  const problems: { name: LimitField; key: string }[] = [];
  const [rate, connections] = [form.rate.trim(), form.connections.trim()];
  if (rate === "" && connections === "") problems.push({ name: "rate", key: "site.limit.problem.none" });
  if (rate !== "" && numberOf(rate) === undefined)
    problems.push({ name: "rate", key: "site.limit.problem.rate" });
  if (connections !== "" && !((numberOf(connections) ?? Number.NaN) <= siteLimitBounds.connectionsMax))
    problems.push({ name: "connections", key: "site.limit.problem.connections" });
  if (isAboveCeiling(form, ceiling) && !form.isAbove)
    problems.push({ name: "isAbove", key: "site.limit.problem.above" });
  return problems;
}

export function toLimitBody(form: LimitForm): LimitBody {
  const [rate, connections] = [numberOf(form.rate), numberOf(form.connections)];
  const why = form.why.trim();
  return {
    ...(rate === undefined ? {} : { rate: `${rate}/${form.unit}` }),
    ...(connections === undefined ? {} : { connections }),
    for_s: form.forS,
    ...(why === "" ? {} : { why }),
    ...(form.isAbove ? { above_ceiling: true } : {}),
  };
}

/** The form's field for a path of the gateway's answer. */
export function limitFieldOf(path: string): LimitField | undefined {
  const fields: Readonly<Record<string, LimitField>> = {
    rate: "rate",
    connections: "connections",
    for_s: "forS",
    why: "why",
  };
  return fields[path];
}
