/**
 * Hookline as a backend composes it: storage, engine and webhooks in its own process, all settings as they are by default.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Redacted, References, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Egress } from "../../src/egress/index.ts"
import * as Hook from "../../src/Hook.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Webhook from "../../src/plugins/webhook/index.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Secrets from "../../src/Secrets.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { Subscriptions } from "../../src/Subscriptions.ts"
import type { Payload, Running, Setting, System } from "../System.ts"

const PayloadSchema = Schema.Struct({
  id: Schema.String,
  at: Schema.Finite,
  severity: Schema.String,
  text: Schema.String
})

const hookOf = (n: number) => Hook.make(`happened.${n}`, { payload: PayloadSchema })

const open = async ({ database, options, routes }: Setting): Promise<Running> => {
  const hooks = routes.map((_, n) => hookOf(n))
  const plugin = Plugin.make("bench", {
    hooks,
    events: hooks.map((hook, n) => IntegrationEvent.make(hook, { displayName: `Event ${n}`, category: "Bench" }))
  })
  const PgLive = PgClient.layer({ url: Redacted.make(database), maxConnections: 10 })
  const common = Layer.mergeAll(
    Egress.layer({ allow: ["127.0.0.0/8"] }),
    Secrets.layer({ masterKey: await Effect.runPromise(Secrets.generateMasterKey) }),
    Layer.succeed(References.MinimumLogLevel, "Warn")
  )
  const StorageLive = Layer.provideMerge(PgStorage.layer(), PgLive)
  const full = () =>
    ManagedRuntime.make(
      Hookline.layer({ plugins: Layer.mergeAll(Webhook.plugin, plugin) }).pipe(
        Layer.provideMerge(StorageLive),
        Layer.provideMerge(common)
      )
    )
  const emitter = ManagedRuntime.make(
    Hookline.emitter({ plugins: Layer.mergeAll(Webhook.plugin, plugin) }).pipe(
      Layer.provideMerge(StorageLive),
      Layer.provideMerge(common)
    )
  )
  const setup = full()
  await setup.runPromise(Effect.gen(function*() {
    const subscriptions = yield* Subscriptions
    yield* Effect.forEach(routes.entries(), ([n, urls]) =>
      Effect.forEach(urls, (url, i) =>
        subscriptions.create({
          name: `Event ${n} to ${i}`,
          events: [`bench.happened.${n}`],
          providerId: "webhook.webhook",
          config: { url, timeoutMs: 15_000 }
        }), { concurrency: 4, discard: true }), { discard: true })
  }))
  await setup.dispose()
  await emitter.runPromise(Effect.void)

  let runtime: ManagedRuntime.ManagedRuntime<Hook.Hooks, unknown> = emitter
  let worker: ReturnType<typeof full> | undefined
  const hookAt = (event: number) => {
    const hook = hooks[event]
    if (!hook) throw new Error(`There is no event ${event}`)
    return hook
  }
  return {
    emit: (event: number, payload: Payload) => runtime.runPromise(Hook.emit(hookAt(event), payload)),
    fill: (event: number, payloads: ReadonlyArray<Payload>) => {
      const hook = hookAt(event)
      return runtime.runPromise(
        Effect.forEach(payloads, (payload) => Hook.emit(hook, payload), { concurrency: 1000, discard: true })
      )
    },
    work: async () => {
      worker = full()
      await worker.runPromise(Effect.void)
      if (!options.includes("emit-only")) runtime = worker
    },
    unfinished: () =>
      emitter.runPromise(Effect.gen(function*() {
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
  open
}
