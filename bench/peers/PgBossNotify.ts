/**
 * pg-boss whose workers are woken by LISTEN/NOTIFY. Every message wakes all of them, so few workers with large batches are fastest
 * here too; eight of them cost more CPU time and latency. It polls as often beside, as what is tried again is not notified: with its
 * default of 30 s a retry waits as long.
 */
import type { System } from "../System.ts"
import { open } from "./PgBoss.ts"

export const system: System = {
  name: "pg-boss, LISTEN/NOTIFY",
  settings:
    "useListenNotify, notify, 2 workers with batches of 500 and an outcome for each job, burstWhenBatchFull, 64 deliveries at once",
  store: "postgres",
  open: open({
    boss: { useListenNotify: true },
    queue: { notify: true },
    work: {
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
      batchSize: 500,
      localConcurrency: 2
    }
  })
}
