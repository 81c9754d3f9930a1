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
    /\b(virus|malware|trojan|worm|eicar)[ :-]{1,3}\S{2,60}.{0,30}(rejected|detected|found|infected|blocked)|\b(carries|carrying|including|has) a (virus|worm|trojan)\b|\bvirus(es)? (was|were|is|in|inside|has been)\b|\binfecté|\binfiziert|\binfectad|病毒/,
  ],
  likely: [/\b(virus|malware)\b/],
};
