/**
 * graphile-worker as it is by default, but for the jobs at once and, as it advises, two connections more than these. Pools of 10
 * and 24 connections were tried: they differ less than two runs of the same.
 */
import type { System } from "../System.ts"
import { open } from "./GraphileWorker.ts"

export const system: System = {
  name: "graphile-worker, plain",
  settings: "64 jobs at once, nothing batched",
  store: "postgres",
  open: open((concurrency) => ({ maxPoolSize: concurrency + 2 }))
}
