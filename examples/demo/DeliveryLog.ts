/**
 * The delivery log: what the database says of messages, deliveries and attempts, read through Hookline's storage.
 */
import { Effect, Option, Schedule, Schema } from "effect"
import { type Delivery, type Id, Storage } from "hookline"

export interface LoggedMessage {
  readonly id: string
  readonly title: string
}

export interface LoggedDelivery {
  readonly messageId: string
  readonly status: Delivery.DeliveryStatus
  /** Of its attempts, oldest first. */
  readonly outcomes: ReadonlyArray<Delivery.AttemptOutcome>
}

const pageSize = 1000
const pageBytes = 8 * 1024 * 1024

const decodePayload = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ title: Schema.String })))

/** All pages, newest first. */
const pages = <A extends { readonly id: string }, E, R>(
  read: (page: Storage.Page) => Effect.Effect<ReadonlyArray<A>, E, R>
) =>
  Effect.gen(function*() {
    const all: Array<A> = []
    let page = yield* read({ cursor: undefined, limit: pageSize })
    while (page.length > 0) {
      all.push(...page)
      page = yield* read({ cursor: page.at(-1)?.id, limit: pageSize })
    }
    return all
  })

/** The messages of incidents: Hookline tells of deliveries that failed with messages of its own. */
export const messages = Effect.gen(function*() {
  const storage = yield* Storage.Storage
  const stored = yield* pages((page) =>
    Effect.map(
      storage.listMessages({ eventId: "incident.incident.created" }, { ...page, bytes: pageBytes }),
      ({ items }) => items
    )
  )
  return yield* Effect.forEach(
    stored,
    ({ id, payloadJson }) => Effect.map(decodePayload(payloadJson), ({ title }): LoggedMessage => ({ id, title }))
  )
})

const isFinal = ({ status }: Delivery.Delivery) => status !== "pending" && status !== "retrying"

/** Waits until there are so many deliveries and each is final; `tell` hears how many are. */
export const settled = Effect.fnUntraced(function*(expected: number, tell: (count: number) => void) {
  const storage = yield* Storage.Storage
  yield* pages((page) => storage.listDeliveries({}, page)).pipe(
    Effect.map((deliveries) => ({ all: deliveries.length, final: deliveries.filter(isFinal).length })),
    Effect.tap(({ final }) => Effect.sync(() => tell(final))),
    Effect.repeat({
      schedule: Schedule.spaced("500 millis"),
      until: ({ all, final }) => final >= expected && final === all
    })
  )
})

/** The deliveries of a subscription, with how their attempts ended. */
export const deliveriesOf = Effect.fnUntraced(function*(subscriptionId: Id.SubscriptionId) {
  const storage = yield* Storage.Storage
  const deliveries = yield* pages((page) => storage.listDeliveries({ subscriptionId }, page))
  return yield* Effect.forEach(
    deliveries,
    Effect.fnUntraced(function*({ id, messageId, status }) {
      const found = Option.getOrUndefined(yield* storage.getDelivery(id))
      const logged: LoggedDelivery = {
        messageId,
        status,
        outcomes: (found?.attempts ?? []).map(({ outcome }) => outcome)
      }
      return logged
    }),
    { concurrency: 4 }
  )
})
