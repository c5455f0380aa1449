/**
 * The workload: clients of the backend that emit, in transactions or not, and change subscriptions while messages flow. It
 * notes what it was told and judges nothing.
 */
import { type Context, DateTime, Effect, Exit, Option, Redacted, type Schema } from "effect"
import * as Hook from "../../src/Hook.ts"
import type { SubscriptionId } from "../../src/Id.ts"
import type { Storage } from "../../src/Storage.ts"
import * as Transaction from "../../src/StorageMemoryTransaction.ts"
import { type NewSubscription, type SubscriptionChange, Subscriptions } from "../../src/Subscriptions.ts"
import type { Database } from "./Database.ts"
import type { Dice } from "./Dice.ts"
import type { Bound, History, Told } from "./History.ts"
import { call, type Process, type ProcessGone } from "./Machine.ts"
import { type Plan, when } from "./Plan.ts"
import * as Shop from "./Shop.ts"

/** A runner that takes calls now. */
export interface Open {
  readonly process: Process
  readonly services: Context.Context<Hook.Hooks | Subscriptions | Storage>
}

export interface Clients {
  readonly process: Process
  readonly history: History
  readonly database: Database
  readonly dice: Dice
  readonly plan: Plan
  /** A runner, if there is one. */
  readonly runner: () => Open | undefined
}

/** A subscription as its client knows it. */
interface Known {
  readonly id: SubscriptionId
  readonly endpoint: string
  revision: number
  busy: boolean
}

export class Workload {
  readonly known: Array<Known> = []
  readonly #clients: Clients
  #changes = 0
  #endpoints = 0

  constructor(clients: Clients) {
    this.#clients = clients
  }

  /** Lets it all happen at times of the dice's choosing. */
  begin(): void {
    const { dice, plan, process } = this.#clients
    for (let n = 0; n < plan.subscriptions; n++) process.run(this.#create(true))
    const sometime = (withinMs: number, effect: Effect.Effect<unknown>) =>
      process.after(when(plan, dice, withinMs), () => process.run(effect))
    for (let n = 0; n < plan.messages; n++) sometime(50, this.#emit(n))
    for (let n = 0; n < plan.changes; n++) sometime(1000, this.#change)
    for (let n = 0; n < plan.retries; n++) sometime(2000, this.#retry)
    for (let n = 0; n < plan.partitionings; n++) sometime(1000, this.#partition)
  }

  /** From now on enables whatever is disabled, so that all can come to rest; changes under way may yet disable more. */
  enableAll(): void {
    const { database, process } = this.#clients
    const enable = Effect.gen({ self: this }, function*() {
      const { items } = yield* Effect.orDie(database.storage.subscriptions)
      for (const { enabled, id } of items) {
        if (enabled) continue
        const known = this.known.find((one) => one.id === id) ?? { id, endpoint: "", revision: 0, busy: false }
        yield* this.#changed("enable", known, { enabled: true })
      }
      yield* Effect.sleep(300)
    })
    process.run(Effect.forever(enable))
  }

  #emit(n: number): Effect.Effect<void> {
    const { dice, history, plan } = this.#clients
    const hook = dice.pick(Shop.hooks)
    const inTransaction = dice.chance(plan.inTransaction)
    const rollsBack = inTransaction ? dice.chance(0.5) && plan.rolledBack > 0 : dice.chance(plan.rolledBack)
    const keyed = dice.chance(plan.keyed)
    const nowMs = this.#clients.process.machine.nowMs
    const at = (ms: number) => DateTime.makeUnsafe(nowMs + ms)
    const options = {
      ...(keyed ? { idempotencyKey: `key-${n}` } : {}),
      ...(dice.chance(plan.timed) ? { deliverAt: at(500 + dice.below(2000)) } : {}),
      ...(dice.chance(plan.timed) ? { expiresAt: at(3000 + dice.below(3000)) } : {})
    }
    const once = this.#onRunner((services) => Hook.emit(hook, { n }, options).pipe(Effect.provideContext(services)))
    const emit = inTransaction || rollsBack ? this.#transaction(once, rollsBack) : once
    const told = Effect.suspend(() => {
      history.add({ _tag: "Emitting", n, eventId: `shop.${hook.id}`, rollsBack })
      return Effect.map(Effect.exit(emit), (exit) => {
        const told = tell(exit, inTransaction || rollsBack)
        history.add({
          _tag: "Emitted",
          n,
          told,
          messageId: Exit.isSuccess(exit) ? exit.value : undefined
        })
        return told
      })
    })
    if (!keyed || rollsBack) return Effect.asVoid(told)
    // With its key it may be repeated.
    return told.pipe(
      Effect.flatMap((told) => told === "stored" ? Effect.void : Effect.fail("again")),
      Effect.retry({ times: 3 }),
      Effect.ignore
    )
  }

  /** As in a program with a client of the database of its own: when its runner dies, the database rolls back. */
  #transaction<A, E>(body: Effect.Effect<A, E>, rollsBack: boolean): Effect.Effect<A, E | ProcessGone | "rolls back"> {
    const { database, dice } = this.#clients
    return call(
      database.process,
      database.transaction(Effect.gen(function*() {
        if (dice.chance(0.5)) yield* Effect.sleep(dice.below(300))
        const answer = yield* body
        if (dice.chance(0.5)) yield* Effect.sleep(dice.below(300))
        if (rollsBack) return yield* Effect.fail("rolls back" as const)
        return answer
      }))
    )
  }

  /** Runs something in a runner, in the transaction of the caller's fiber. */
  #onRunner<A, E>(
    effect: (services: Open["services"]) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | ProcessGone> {
    return Effect.flatMap(Transaction.Current, (transaction) =>
      Effect.gen({ self: this }, function*() {
        let open = this.#clients.runner()
        while (!open) {
          yield* Effect.sleep(100)
          open = this.#clients.runner()
        }
        return yield* call(
          open.process,
          Effect.provideService(effect(open.services), Transaction.Current, transaction)
        )
      }))
  }

  #create(enabled: boolean): Effect.Effect<void> {
    const { dice, history, plan } = this.#clients
    const endpoint = `endpoint-${++this.#endpoints}`
    const change = ++this.#changes
    history.add({ _tag: "Changing", change, what: `create ${endpoint}` })
    return this.#onRunner((services) =>
      Subscriptions.use((subscriptions) =>
        subscriptions.create({
          name: endpoint,
          events: dice.pick([["*"], ["shop.*"], ["shop.placed"], ["shop.paid", "shop.sent"], ["hookline.*"]]),
          providerId: "shop.receiver",
          config: { endpoint, revision: 1 },
          signingSecret: Redacted.make(`whsec_${"A".repeat(43)}=`),
          retry: { type: "delays", delaysMs: dice.pick([[], [0], [100, 400], [50, 50, 1500], [1000, 300, 20, 700]]) },
          ...(dice.chance(0.4) ? { filter: dice.pick(filters) } : {}),
          ...(dice.chance(plan.limited) ? dice.pick(limits) : {}),
          enabled
        })
      ).pipe(Effect.provideContext(services))
    ).pipe(
      Effect.exit,
      Effect.map((exit) => {
        if (Exit.isSuccess(exit)) {
          const { id, version } = exit.value.subscription
          this.known.push({ id, endpoint, revision: 1, busy: false })
          history.add({ _tag: "Changed", change, bound: { subscriptionId: id, version } })
        } else history.add({ _tag: "Changed", change, bound: undefined })
      })
    )
  }

  /** Changes a subscription somehow, if nobody does just now. */
  change(id: SubscriptionId): void {
    const { process } = this.#clients
    process.run(this.#changeOne(this.known.filter((one) => one.id === id && !one.busy)))
  }

  readonly #change = Effect.suspend(() => this.#changeOne(this.known.filter((one) => !one.busy)))

  #changeOne(candidates: ReadonlyArray<Known>): Effect.Effect<unknown> {
    const { dice } = this.#clients
    const known = dice.some(candidates)
    const what = dice.pick(changes)
    if (!known || what === "create") return this.#create(dice.chance(0.8))
    switch (what) {
      case "disable":
      case "enable":
        return this.#changed(what, known, { enabled: what === "enable" })
      case "update": {
        const { endpoint } = known
        return this.#changed(what, known, { config: { endpoint, revision: ++known.revision } })
      }
      case "filter":
        return this.#changed(what, known, { filter: dice.chance(0.5) ? null : dice.pick(filters) })
      case "limit":
        return this.#changed(what, known, {
          ordered: dice.chance(0.5),
          maxConcurrency: dice.pick([null, 1, 2]),
          rateLimit: null
        })
      case "delete":
        return this.#removed(known)
    }
  }

  #changed(
    what: string,
    known: Known,
    change: SubscriptionChange
  ): Effect.Effect<boolean> {
    return this.#noted(
      `${what} ${known.id}`,
      known,
      (services) =>
        Subscriptions.use((subscriptions) => subscriptions.update(known.id, change)).pipe(
          Effect.map(({ version }) => ({ subscriptionId: known.id, version })),
          Effect.provideContext(services)
        )
    )
  }

  #removed(known: Known): Effect.Effect<boolean> {
    this.known.splice(this.known.indexOf(known), 1)
    return this.#noted(
      `delete ${known.id}`,
      known,
      (services) =>
        Subscriptions.use((subscriptions) => subscriptions.remove(known.id)).pipe(
          Effect.as({ subscriptionId: known.id, version: Number.MAX_SAFE_INTEGER }),
          Effect.provideContext(services)
        )
    )
  }

  #noted<E>(
    what: string,
    known: Known,
    effect: (services: Open["services"]) => Effect.Effect<Bound, E>
  ): Effect.Effect<boolean> {
    const { history } = this.#clients
    return Effect.suspend(() => {
      const change = ++this.#changes
      known.busy = true
      history.add({ _tag: "Changing", change, what })
      return this.#onRunner((services) => effect(services)).pipe(
        Effect.exit,
        Effect.map((exit) => {
          known.busy = false
          history.add({ _tag: "Changed", change, bound: Exit.isSuccess(exit) ? exit.value : undefined })
          // One that is not there has nothing left to change.
          return Exit.isSuccess(exit) ||
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && isNotFound(reason.error))
        })
      )
    })
  }

  /** Shares the messages of an event out anew. */
  readonly #partition = Effect.suspend(() => {
    const { database, dice } = this.#clients
    return Effect.orDie(
      database.of("clients").setPartitions(`shop.${dice.pick(Shop.hooks).id}`, dice.pick([1, 2, 3]))
    )
  })

  /** Retries a delivery by hand that failed or waits for its next attempt, or skips one that waits. */
  readonly #retry = Effect.suspend(() => {
    const { database, dice } = this.#clients
    const by = dice.pick(["retry", "retry", "sooner", "skip"] as const)
    const status = by === "retry"
      ? "failed"
      : by === "sooner"
      ? "retrying"
      : dice.pick(["pending", "retrying"] as const)
    return database.storage.listDeliveries({ status }, { cursor: undefined, limit: 20 }).pipe(
      Effect.flatMap((found) => {
        const delivery = dice.some(found)
        const { retryDelivery, skipDelivery } = database.of("clients")
        if (!delivery) return Effect.succeed("NotFound")
        return by === "skip" ? skipDelivery(delivery.id) : retryDelivery(delivery.id)
      }),
      Effect.orDie
    )
  })
}

// --- internal ---

const filters: readonly [Schema.Json, ...ReadonlyArray<Schema.Json>] = [
  { field: "payload.n", lessThan: 20 },
  { field: "payload.n", atLeast: 10 },
  { not: { field: "payload.n", in: [1, 2, 3, 5, 8, 13, 21] } }
]

const limits: readonly [Limited, ...ReadonlyArray<Limited>] = [
  { ordered: true },
  { ordered: true },
  { ordered: true, maxConcurrency: 1 },
  { maxConcurrency: 1 },
  { maxConcurrency: 2 },
  { rateLimit: { messages: 1, intervalMs: 500, burst: 3 } }
]

type Limited = Pick<NewSubscription, "ordered" | "maxConcurrency" | "rateLimit">

const changes = [
  "disable",
  "disable",
  "enable",
  "enable",
  "update",
  "update",
  "filter",
  "limit",
  "delete",
  "create"
] as const

const isTagged = (error: unknown): error is { readonly _tag: string } =>
  typeof error === "object" && error !== null && "_tag" in error

const isNotFound = (error: unknown): boolean => isTagged(error) && error._tag === "SubscriptionNotFound"

const tell = <E>(exit: Exit.Exit<unknown, E>, inTransaction: boolean): Told => {
  if (Exit.isSuccess(exit)) return "stored"
  if (inTransaction) return "rolled back"
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (isTagged(error) && error._tag === "StorageUnavailable") return "refused"
  return "unknown"
}
