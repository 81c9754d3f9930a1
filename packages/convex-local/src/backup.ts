/** What a program needs that keeps copies of a deployment: `tyto backup` and `tyto restore`. */
export { LAYOUT } from "./store/database.ts";
export { backupOfFolder } from "./transfer/backup.ts";
export { BrokenFrames, type Entry, fileEntry, frameEntries, readFrames } from "./transfer/frames.ts";
