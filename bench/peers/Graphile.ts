/**
 * graphile-worker as it is by default, but for the jobs at once.
 */
import type { System } from "../System.ts"
import { open } from "./GraphileWorker.ts"

export const system: System = {
  name: "graphile-worker, plain",
  settings: "64 jobs at once, nothing batched",
  store: "postgres",
  open: open((concurrency) => ({ maxPoolSize: Number(process.env.G_POOL ?? concurrency + 2) }))
}
