/**
 * BullMQ on a Redis server with `appendfsync everysec`.
 */
import type { System } from "../System.ts"
import { open } from "./Bullmq.ts"

export const system: System = {
  name: "BullMQ, appendfsync everysec",
  settings: "64 jobs at once, addBulk, done jobs removed",
  store: "redis",
  open
}
