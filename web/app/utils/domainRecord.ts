import type { DnsRecordView, DomainView } from "@tyto/contracts";
import type { Look } from "./status.ts";

export const recordLooks: Record<DnsRecordView["state"], Look> = {
  unchecked: { tone: "neutral", icon: "i-lucide-circle-dashed" },
  found: { tone: "success", icon: "i-lucide-circle-check" },
  missing: { tone: "error", icon: "i-lucide-circle-x" },
  different: { tone: "warning", icon: "i-lucide-triangle-alert" },
  unreachable: { tone: "warning", icon: "i-lucide-unplug" },
};

export const domainLooks: Record<DomainView["state"], Look> = {
  preparing: { tone: "info", icon: "i-lucide-loader" },
  pending: { tone: "warning", icon: "i-lucide-clock" },
  verified: { tone: "success", icon: "i-lucide-badge-check" },
  failing: { tone: "error", icon: "i-lucide-triangle-alert" },
};

/** How many of the required records were seen. */
export function recordsFound(records: readonly Pick<DnsRecordView, "required" | "state">[]): {
  found: number;
  required: number;
} {
  const required = records.filter((record) => record.required);
  return {
    found: required.filter((record) => record.state === "found").length,
    required: required.length,
  };
}

/** Records of keys that wait or are done with, apart from those that mail needs now. */
export function recordsByStage<Record extends Pick<DnsRecordView, "stage">>(
  records: readonly Record[],
): { signing: Record[]; next: Record[]; old: Record[] } {
  const of = (stage: DnsRecordView["stage"]) => records.filter((record) => record.stage === stage);
  return { signing: of(undefined), next: of("next"), old: of("old") };
}

/** All records as a zone file fragment (RFC 1035 §5), long TXT values in strings of at most 255 bytes. */
export function zoneFileOf(records: readonly Pick<DnsRecordView, "name" | "type" | "value">[]): string {
  const nameChars = Math.max(0, ...records.map(({ name }) => name.length)) + 1;
  return records
    .map(
      (record) =>
        `${`${record.name}.`.padEnd(nameChars)} 3600 IN ${record.type.padEnd(3)} ${zoneValue(record)}`,
    )
    .join("\n");
}

function zoneValue({ type, value }: Pick<DnsRecordView, "type" | "value">): string {
  if (type !== "TXT") return value.endsWith(".") ? value : `${value}.`;
  const parts = value.replace(/["\\]/g, "\\$&").match(/.{1,255}/gs) ?? [""];
  return parts.map((part) => `"${part}"`).join(" ");
}
