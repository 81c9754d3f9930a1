import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";

const crons = cronJobs();

crons.hourly("remove old rows", { minuteUTC: 17 }, internal.retention.sweepAll);

export default crons;
