import type { Rule } from "./rule.ts";

/** The receiver's antivirus found something. */
export const contentInfected: Rule = {
  reason: "content.infected",
  statuses: [],
  sure: [
    /\b(virus|malware|trojan|ransomware|worm)( \S{1,60})? (was |has been |is )?(found|detected|infected|present|rejected|blocked)/,
    /\b(infected|contains? (an? )?(virus|malware|trojan|worm))\b|\binfected (with|by|message|mail)\b/,
    /\b(clamav|clamd|virus (scan|check|filter)|antivirus|anti-virus)\b/,
    /\bEicar\b|\b(virus|malware)[: ]+\(?[\w./-]{3,60}\)?$/,
    /\bvirus-?(infected|laden)\b|\bvirus\/worm\b|ウイルス|ウィルス/,
  ],
  likely: [/\b(virus|malware)\b/],
};
