/**
 * graphile-worker with its local queue and batched completion, as its page on performance has them where it is fastest. Also tried:
 * `refetchDelay` 10 ms, as in its own measurement, and a `completeJobBatchDelay` of 250 ms, as it recommends to begin with: neither
 * is faster than what the same setting measures twice.
 */
import type { System } from "../System.ts"
import { open } from "./GraphileWorker.ts"

export const system: System = {
  name: "graphile-worker, local queue with batched completion",
  settings: "localQueue.size 500, completeJobBatchDelay 0, failJobBatchDelay 0, 64 jobs at once",
  store: "postgres",
  open: open((concurrency) => ({
    maxPoolSize: concurrency + 1,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0
  }))
}
