/**
 * The backend whose events are simulated: a plugin with three hooks, one whose transform refuses some payloads, handlers of
 * its own, and the rules by which checkers know, apart from the code under test, which message is whose.
 */
import { Effect, Option, Schema } from "effect"
import * as Core from "../../src/Core.ts"
import type { Egress } from "../../src/Egress.ts"
import * as Handler from "../../src/Handler.ts"
import * as Hook from "../../src/Hook.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Provider from "../../src/Provider.ts"
import * as RetrySchedule from "../../src/RetrySchedule.ts"
import type { Subscription } from "../../src/Subscription.ts"
import type { Receivers } from "./Receivers.ts"

const payload = Schema.Struct({ n: Schema.Int })

/** The ordering key of a message, by its number. */
export const keyOf = (n: number): string => `key-${n % 3}`

const options = { payload, orderingKey: ({ n }: typeof payload.Type) => keyOf(n) }

export const Placed = Hook.make("placed", options)
export const Paid = Hook.make("paid", options)
export const Sent = Hook.make("sent", options)

export const hooks = [Placed, Paid, Sent] as const

export const groups = [
  ...hooks.map((hook) => `integration.shop.${hook.id}`),
  ...Core.events.map(({ hook }) => `integration.hookline.${hook.id}`)
]

/** Messages of `sent` with such numbers are set aside: their transform throws. */
export const isPoisonous = (n: number): boolean => n % 13 === 12

export const Config = Schema.Struct({ endpoint: Schema.String, revision: Schema.Int })

const configOf = Schema.decodeUnknownOption(Config)

/** The revision of a subscription's configuration; a work queue has none, and 0. */
export const revisionOf = ({ config }: Pick<Subscription, "config">): number =>
  Option.match(configOf(config), { onNone: () => 0, onSome: ({ revision }) => revision })

/** The work queues: their names, hooks and schedules. Two of them are on one hook. */
export const queues = [
  { workerGroup: "tally", hook: Sent, delaysMs: [50, 300] },
  { workerGroup: "index", hook: Sent, delaysMs: [0] },
  { workerGroup: "ledger", hook: Paid, delaysMs: [] }
] as const

/** The provider that stands for a work queue. */
export const providerOf = (workerGroup: string): string => `shop.${Handler.providerId(workerGroup)}`

/** The events that every process hears of. What nobody hears of may go ahead of its routing. */
export const broadcasts = [Sent] as const

/** The schedule of a subscription's attempts. */
export const delaysOf = ({ providerId, retry }: Pick<Subscription, "providerId" | "retry">): ReadonlyArray<number> =>
  retry?.type === "delays"
    ? retry.delaysMs
    : queues.find(({ workerGroup }) => providerOf(workerGroup) === providerId)?.delaysMs ?? []

export const plugin = (receivers: Receivers, runner: string) =>
  Plugin.make("shop", {
    hooks,
    handlers: [
      ...queues.map(({ delaysMs, hook, workerGroup }) =>
        Hook.on(hook, ({ n }, received) => receivers.handle(runner, providerOf(workerGroup), n, received), {
          mode: "work-queue",
          workerGroup,
          retry: RetrySchedule.delays(delaysMs, { jitter: 0 })
        })
      ),
      ...broadcasts.map((hook) => Hook.on(hook, (_, received) => receivers.hear(runner, received)))
    ],
    events: [
      IntegrationEvent.make(Placed, { displayName: "Placed" }),
      IntegrationEvent.make(Paid, { displayName: "Paid" }),
      IntegrationEvent.make(Sent, {
        displayName: "Sent",
        transformPayload: ({ n }) => {
          if (isPoisonous(n)) throw new Error(`${n} can't be transformed`)
          return { n, twice: 2 * n }
        }
      })
    ],
    providers: [Provider.make({
      id: "receiver",
      displayName: "Receiver",
      config: Config,
      bind: (config): Provider.Bound<Egress> => ({
        check: Effect.void,
        deliver: (attempt) => receivers.deliver(runner, config, attempt),
        exchange: (attempt) => receivers.exchange(runner, config, attempt)
      })
    })]
  })
