/**
 * BullMQ; how durable it is, is its Redis server's setting. A job for each endpoint, those of one message added in bulk.
 */
import { Queue, Worker } from "bullmq"
import { close } from "../Post.ts"
import type { Payload, Running, Setting } from "../System.ts"
import { attempts, deliver, type Job, queues } from "./Jobs.ts"

export const open = async (setting: Setting): Promise<Running> => {
  if (setting.redis === undefined) throw new Error("BullMQ needs a Redis server")
  const connection = { host: "127.0.0.1", port: setting.redis }
  const { all, jobs, of } = queues(setting)
  const complain = (error: Error) => {
    process.stderr.write(`BullMQ: ${error.message}\n`)
  }
  const byName = new Map(all.map(({ name }) => {
    const queue = new Queue<Job>(name, {
      connection,
      defaultJobOptions: {
        attempts,
        backoff: { type: "exponential", delay: 1000 },
        removeOnComplete: true,
        removeOnFail: 1000
      }
    })
    queue.on("error", complain)
    return [name, queue] as const
  }))
  await Promise.all([...byName.values()].map((queue) => queue.waitUntilReady()))
  const queueOf = (url: string) => {
    const queue = byName.get(of(url))
    if (!queue) throw new Error(`No queue has ${url}`)
    return queue
  }
  const workers: Array<Worker<Job>> = []
  const fill = (event: number, payloads: ReadonlyArray<Payload>) =>
    Promise.all(
      [...Map.groupBy(jobs(event, payloads), ({ url }) => queueOf(url))]
        .map(([queue, some]) => queue.addBulk(some.map((data) => ({ name: "deliver", data }))))
    )
  return {
    emit: (event, payload) => {
      const [job, ...more] = jobs(event, [payload])
      return !job || more.length > 0 ? fill(event, [payload]) : queueOf(job.url).add("deliver", job)
    },
    fill,
    work: async () => {
      for (const { concurrency, name } of all) {
        const worker = new Worker<Job>(name, ({ data, id = "" }) => deliver(id, data), { connection, concurrency })
        worker.on("error", complain)
        workers.push(worker)
      }
      await Promise.all(workers.map((worker) => worker.waitUntilReady()))
    },
    unfinished: async () => {
      const counts = await Promise.all(
        [...byName.values()].map((queue) => queue.getJobCountByTypes("wait", "active", "delayed", "prioritized"))
      )
      return counts.reduce((sum, count) => sum + count, 0)
    },
    close: async () => {
      // Deliveries that hang are not waited for.
      await Promise.all(workers.map((worker) => worker.close(true)))
      await Promise.all([...byName.values()].map((queue) => queue.close()))
      await close()
    }
  }
}
