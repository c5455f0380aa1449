/**
 * Hookline as a backend composes it: storage, engine and webhooks in its own process, all settings as they are by default.
 */
import { PgClient } from "@effect/sql-pg"
import {
  Array as Arr,
  ConfigProvider,
  Effect,
  Layer,
  ManagedRuntime,
  Redacted,
  References,
  Schedule,
  Schema
} from "effect"
import { SqlClient } from "effect/sql"
import * as Heap from "../../src/cli/Heap.ts"
import * as Telemetry from "../../src/cli/Telemetry.ts"
import { SocketCluster } from "../../src/cluster/index.ts"
import { Dispatchers } from "../../src/Dispatchers.ts"
import { Egress } from "../../src/egress/index.ts"
import * as Hook from "../../src/Hook.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Exposition from "../../src/http/Exposition.ts"
import * as Id from "../../src/Id.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import { defaults } from "../../src/Limits.ts"
import { defaultTenant } from "../../src/Message.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Webhook from "../../src/plugins/webhook/index.ts"
import * as Readings from "../../src/Readings.ts"
import * as Secrets from "../../src/Secrets.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { Subscriptions } from "../../src/Subscriptions.ts"
import type { Payload, Running, Setting, System } from "../System.ts"

const PayloadSchema = Schema.Struct({
  id: Schema.String,
  at: Schema.Finite,
  severity: Schema.String,
  text: Schema.String
})

const eventIdOf = (n: number) => `bench.happened.${n}`

const hookOf = (n: number) => Hook.make(`happened.${n}`, { payload: PayloadSchema })

/** Of the connections of whoever emits. */
const applicationName = "bench-emits"

/** One for all processes, which read one another's secrets. */
const masterKey = Redacted.make("07".repeat(32))

/** What follows a name among the options, as in `otlp:http://127.0.0.1:4318`. */
const optionOf = (options: ReadonlyArray<string>, name: string): string | undefined =>
  options.find((option) => option.startsWith(`${name}:`))?.slice(name.length + 1)

/** As a runner tells a collector, of a share of the messages. */
const telling = (endpoint: string, share: string) =>
  Layer.unwrap(Effect.map(Telemetry.fromEnvironment, ({ layer }) => layer)).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: share
    })))
  )

/** What is done for each reader of `/metrics`, once a second. */
const scraped = Layer.effectDiscard(Effect.gen(function*() {
  const readings = yield* Readings.make
  yield* Effect.forkScoped(Effect.repeat(Effect.andThen(readings, Exposition.text), Schedule.spaced("1 second")))
}))

/**
 * The options that it knows:
 *
 * - `emit-only`: what is emitted is left to the dispatcher's own looking for it
 * - `one-commit-each`: emits are not committed in groups
 * - `clustered`: as one of several runners
 * - `through:PORT`: connections go to that port
 * - `kept-small`: with the heap of a runner's own process, as of `hookline start`
 * - `otlp:URL` and `share:N`: that share of the messages is traced and told there, and metrics are read once a second
 */
const compose = ({ database: direct, options, routes }: Setting) => {
  const database = new URL(direct)
  database.port = optionOf(options, "through") ?? database.port
  const collector = optionOf(options, "otlp")
  const hooks = routes.map((_, n) => hookOf(n))
  const plugin = Plugin.make("bench", {
    hooks,
    events: hooks.map((hook, n) => IntegrationEvent.make(hook, { displayName: `Event ${n}`, category: "Bench" }))
  })
  const PgLive = PgClient.layer({
    url: Redacted.make(database.href),
    maxConnections: 10,
    applicationName
  })
  const common = Layer.mergeAll(
    Egress.layer({ allow: ["127.0.0.0/8"] }),
    Secrets.layer({ masterKey }),
    Layer.succeed(References.MinimumLogLevel, "Warn"),
    collector === undefined ? Layer.empty : telling(collector, optionOf(options, "share") ?? "1")
  )
  const StorageLive = Layer.provideMerge(PgStorage.layer(), PgLive)
  const full = () =>
    ManagedRuntime.make(
      (collector === undefined ? Layer.empty : scraped).pipe(
        Layer.provideMerge(Hookline.layer({
          plugins: Layer.mergeAll(Webhook.plugin, plugin),
          ...(options.includes("clustered") ? { cluster: SocketCluster.runner({ host: "127.0.0.1" }) } : {})
        })),
        Layer.provideMerge(StorageLive),
        Layer.provideMerge(common),
        Layer.provideMerge(options.includes("kept-small") ? Layer.effectDiscard(Heap.collectedSooner) : Layer.empty)
      )
    )
  const emitter = ManagedRuntime.make(
    Hookline.emitter({ plugins: Layer.mergeAll(Webhook.plugin, plugin) }).pipe(
      Layer.provideMerge(StorageLive),
      Layer.provideMerge(common)
    )
  )
  return { hooks, full, emitter }
}

const prepare = async (setting: Setting) => {
  const { full } = compose(setting)
  const setup = full()
  await setup.runPromise(Effect.gen(function*() {
    const subscriptions = yield* Subscriptions
    yield* Effect.forEach(
      setting.routes.flatMap((urls, event) => urls.map((url, n) => ({ event, url, n }))),
      ({ event, n, url }) =>
        subscriptions.create({
          name: `Event ${event} to ${n}`,
          events: [eventIdOf(event)],
          providerId: "webhook.webhook",
          config: { url, timeoutMs: 15_000 }
        }),
      { concurrency: 8, discard: true }
    )
  }))
  await setup.dispose()
}

const open = async (setting: Setting): Promise<Running> => {
  const { emitter, full, hooks } = compose(setting)
  const { options } = setting
  await emitter.runPromise(Effect.void)

  let runtime: ManagedRuntime.ManagedRuntime<
    Hook.Hooks | Storage | Dispatchers | SqlClient.SqlClient,
    unknown
  > = emitter
  let worker: ReturnType<typeof full> | undefined
  const hookAt = (event: number) => {
    const hook = hooks[event]
    if (!hook) throw new Error(`There is no event ${event}`)
    return hook
  }
  /**
   * What an emit was without group commit: the payload is encoded, and its statement commits by itself, on whichever of the
   * same connections is free, beside those of the other emitters. All else that an emit checks it saves.
   */
  const oneCommit = Effect.fnUntraced(function*(event: number, payload: Payload) {
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const payloadJson = JSON.stringify(yield* Schema.encodeEffect(PayloadSchema)(payload))
    const id = yield* Id.messageId(yield* storage.now)
    const placed = yield* storage.append([{
      id,
      eventId: eventIdOf(event),
      tenantId: defaultTenant,
      orderingKey: undefined,
      payloadJson
    }])
    yield* Effect.forEach(placed, ({ workerGroup }) => dispatchers.wake(workerGroup), { discard: true })
  })
  const emitOne = (
    event: number,
    payload: Payload
  ): Effect.Effect<unknown, unknown, Hook.Hooks | Storage | Dispatchers> =>
    options.includes("one-commit-each") ? oneCommit(event, payload) : Hook.emit(hookAt(event), payload)
  return {
    emit: (event: number, payload: Payload) => runtime.runPromise(Hook.emit(hookAt(event), payload)),
    // In batches, which are read as what another process has stored: what is drained comes out of the database.
    fill: (event: number, payloads: ReadonlyArray<Payload>) =>
      runtime.runPromise(
        Effect.forEach(
          Arr.chunksOf(payloads, defaults.batchMessages),
          (some) =>
            Hook.Hooks.use((all) => all.emitBatch(some.map((payload) => ({ eventId: eventIdOf(event), payload })))),
          { discard: true }
        )
      ),
    emitAll: (next, emitters) => {
      const emitting = Effect.suspend(() => {
        let emission = next()
        return Effect.whileLoop({
          while: () => emission !== undefined,
          body: () => emission ? emitOne(emission.event, emission.payload) : Effect.void,
          step: () => {
            emission = next()
          }
        })
      })
      return runtime.runPromise(
        Effect.forEach(Array.from({ length: emitters }), () => emitting, { concurrency: "unbounded", discard: true })
      )
    },
    inTransaction: (event, payload) =>
      runtime.runPromise(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`select 1`
          if (payload) yield* Hook.emit(hookAt(event), payload)
        }))
      })),
    work: async () => {
      worker = full()
      await worker.runPromise(Effect.void)
      if (options.includes("emit-only")) return
      // From now on all is one process's, as in a backend: nothing of the other is left in its memory.
      runtime = worker
      await emitter.dispose()
    },
    unfinished: () =>
      runtime.runPromise(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql<{ readonly n: number }>`
          select (select count(*) from hookline.inbox)::int + (select count(*) from hookline.work)::int as n`
        return row?.n ?? 0
      })),
    close: async () => {
      await worker?.dispose()
      await emitter.dispose()
    }
  }
}

/** Hookline. */
export const system: System = {
  name: "Hookline",
  settings: "one process emits and delivers; defaults",
  store: "postgres",
  prepare,
  open
}
