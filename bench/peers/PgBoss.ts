/**
 * pg-boss, whatever its settings: a job for each endpoint, inserted at once. A worker fetches a batch and fetches again when all
 * of the batch is done, so it is its batches that make it fast: its workers take large ones, each job has an outcome of its own
 * (`perJobResults`), and a bound of ours keeps the deliveries in flight to what the others have.
 */
import { Pool } from "pg"
import { type ConstructorOptions, type JobResult, PgBoss, type WorkOptions } from "pg-boss"
import { close } from "../Post.ts"
import type { Payload, Running, Setting } from "../System.ts"
import { bounded } from "./Bounded.ts"
import { attempts, deliver, type Job, queues } from "./Jobs.ts"

/** What of the settings differs among the rows. */
export interface PgBossSettings {
  readonly boss: ConstructorOptions
  readonly queue: { readonly notify?: boolean }
  readonly work: WorkOptions
}

export const open = (settings: PgBossSettings) => async (setting: Setting): Promise<Running> => {
  const { all, jobs, of } = queues(setting)
  const boss = new PgBoss({ connectionString: setting.database, max: 10, ...settings.boss })
  boss.on("error", (error) => process.stderr.write(`pg-boss: ${error.message}\n`))
  await boss.start()
  for (const { name } of all) {
    await boss.createQueue(name, { retryLimit: attempts - 1, retryDelay: 1, retryBackoff: true, ...settings.queue })
  }
  const counting = new Pool({ connectionString: setting.database, max: 1 })
  counting.on("error", () => {})
  const fill = async (event: number, payloads: ReadonlyArray<Payload>) => {
    const byQueue = Map.groupBy(jobs(event, payloads), ({ url }) => of(url))
    await Promise.all([...byQueue].map(([name, some]) => boss.insert(name, some.map((data) => ({ data })))))
  }
  return {
    emit: (event, payload) => {
      const [job, ...more] = jobs(event, [payload])
      return !job || more.length > 0 ? fill(event, [payload]) : boss.send(of(job.url), job)
    },
    fill,
    work: async () => {
      for (const { concurrency, name } of all) {
        const one = bounded(concurrency)
        await boss.work<Job>(
          name,
          { ...settings.work, perJobResults: true },
          (batch) =>
            Promise.all(batch.map(({ data, id }) =>
              one(async (): Promise<JobResult> => {
                try {
                  await deliver(id, data)
                  return { id, status: "completed" }
                } catch (error) {
                  return { id, status: "failed", output: { message: String(error) } }
                }
              })
            ))
        )
      }
    },
    unfinished: async () => {
      const { rows: [row] } = await counting.query<{ readonly n: number }>(
        "select count(*)::int as n from pgboss.job where state < 'completed' and name = any($1)",
        [all.map(({ name }) => name)]
      )
      return row?.n ?? 0
    },
    close: async () => {
      await boss.stop({ graceful: true, timeout: 5_000 })
      await counting.end()
      await close()
    }
  }
}
