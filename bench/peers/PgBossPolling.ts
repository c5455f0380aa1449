/**
 * pg-boss that polls as often as it can be told to, and fetches at once after a full batch. Batches of 16 to 1000 for one to eight
 * workers were tried: those below 100 drain slower, more than four workers gain nothing.
 */
import type { System } from "../System.ts"
import { open } from "./PgBoss.ts"

export const system: System = {
  name: "pg-boss, polling 0.5 s",
  settings: "2 workers with batches of 500 and an outcome for each job, burstWhenBatchFull, 64 deliveries at once",
  store: "postgres",
  open: open({
    boss: {},
    queue: {},
    work: { pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, batchSize: 500, localConcurrency: 2 }
  })
}
