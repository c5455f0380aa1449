/**
 * graphile-worker, whatever its settings: a job for each endpoint, added with `add_jobs`. Its named queues run one job after the
 * other, so a queue of an endpoint's own is what its documentation calls a specialised worker: a runner that knows one task only.
 */
import { Logger, makeWorkerUtils, run, type Runner } from "graphile-worker"
import { Pool } from "pg"
import { close } from "../Post.ts"
import type { Payload, Running, Setting } from "../System.ts"
import { attempts, deliver, type Job, queues } from "./Jobs.ts"

/** Connections of the side that emits, as many as Hookline has. */
const emitConnections = 10

const isJob = (payload: unknown): payload is Job => typeof payload === "object" && payload !== null && "url" in payload

/** What goes wrong before it is closed; a delivery that failed is tried again and no fault of the bench. */
const loggerUntil = (closing: AbortSignal) =>
  new Logger(() => (level, message) => {
    if (level !== "error" || closing.aborted || message.startsWith("Failed task")) return
    process.stderr.write(`graphile-worker: ${message}\n`)
  })

const poolOf = (connectionString: string, max: number) => {
  const pool = new Pool({ connectionString, max })
  // Connections that are lost are the pool's to replace.
  const ignore = () => {}
  pool.on("error", ignore)
  pool.on("connect", (client) => client.on("error", ignore))
  return pool
}

/** Opens it with settings, of which the number of jobs is set here. */
export const open =
  (worker: (concurrency: number) => GraphileConfig.WorkerOptions) => async (setting: Setting): Promise<Running> => {
    const { all, jobs, of } = queues(setting)
    const closing = new AbortController()
    const logger = loggerUntil(closing.signal)
    const emitting = poolOf(setting.database, emitConnections)
    const utils = await makeWorkerUtils({ pgPool: emitting, logger })
    await utils.migrate()
    const runners: Array<Runner> = []
    const fill = (event: number, payloads: ReadonlyArray<Payload>) =>
      utils.addJobs(
        jobs(event, payloads).map((payload) => ({ identifier: of(payload.url), payload, maxAttempts: attempts }))
      )
    return {
      emit: (event, payload) => {
        const [job, ...more] = jobs(event, [payload])
        return !job || more.length > 0
          ? fill(event, [payload])
          : utils.addJob(of(job.url), job, { maxAttempts: attempts })
      },
      fill,
      work: async () => {
        for (const { concurrency, name } of all) {
          runners.push(
            await run({
              noHandleSignals: true,
              taskList: {
                [name]: async (payload, { job }) => {
                  if (!isJob(payload)) throw new Error(`Job ${job.id} is none of the bench`)
                  await deliver(job.id, payload)
                }
              },
              preset: {
                worker: {
                  connectionString: setting.database,
                  logger,
                  concurrentJobs: concurrency,
                  ...worker(concurrency)
                }
              }
            })
          )
        }
      },
      unfinished: async () => {
        // Done jobs are deleted; those that failed for good have had all their attempts.
        const { rows: [row] } = await emitting.query<{ readonly n: number }>(
          "select count(*)::int as n from graphile_worker.jobs where attempts < max_attempts or locked_at is not null"
        )
        return row?.n ?? 0
      },
      close: async () => {
        closing.abort()
        // It rejects where deliveries still hang.
        await Promise.allSettled(runners.map((runner) => runner.stop()))
        await utils.release()
        await emitting.end()
        await close()
      }
    }
  }
