/**
 * `hookline tail`: the outcomes of attempts as they are recorded, until it is stopped.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { Command } from "effect/cli"
import type { LiveDelivery } from "../http/DeliveryShapes.ts"
import * as Filters from "./Filters.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import * as Stopping from "./Stopping.ts"

/**
 * The command.
 *
 * **Gotchas**
 *
 * It shows what the runner records that it is connected to, and misses what is recorded while it is not connected.
 *
 * @category commands
 * @since 0.1.0
 */
export const tail = Command.make("tail", { ...Filters.flags, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const { eventId, json, subscriptionId, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ eventId, subscriptionId, tenantId })
    const seen: { id?: string } = {}
    const open = Effect.suspend(() => {
      const headers = seen.id === undefined ? {} : { "last-event-id": seen.id }
      return remote.ask((client) => client.stream.listen({ query, headers }))
    })
    // A runner that does not answer at first is a mistake; one that has answered is being restarted.
    let events = yield* open
    while (true) {
      yield* Console.error(`Listening to ${remote.url}; end with Ctrl-C`)
      yield* Stream.runForEach(events, (event) =>
        event.event === "dropped"
          ? missed(event.data.count, json)
          : event.event === "gap"
          ? unknown(json)
          : Effect.andThen(
            Effect.sync(() => {
              if (event.id !== undefined) seen.id = event.id
            }),
            show(event.data, json)
          )).pipe(
          Effect.catch((error) => Schema.isSchemaError(error) ? Effect.fail(otherVersion(remote.url)) : Effect.void)
        )
      yield* Console.error(`${remote.url} has hung up: trying again`)
      events = yield* Effect.retry(Effect.delay(open, "1 second"), { while: (error) => error.mayPass === true })
    }
  }).pipe(Stopping.untilStopped)).pipe(Command.withDescription("Shows the outcomes of attempts as they are recorded"))

// --- internal ---

const otherVersion = (url: string) =>
  new Remote.CommandFailed({ message: `${url} sends what this version can't read: update the older of the two.` })

const missed = (count: number, json: boolean) =>
  json
    ? Output.jsonLine({ dropped: count })
    : Console.error(`${count} outcome${count === 1 ? " is" : "s are"} not shown: they came too fast`)

const unknown = (json: boolean) =>
  json
    ? Output.jsonLine({ gap: true })
    : Console.error("What was recorded meanwhile is not shown: see `hookline deliveries`")

const show = (delivery: typeof LiveDelivery.Type, json: boolean) => {
  if (json) return Output.jsonLine(delivery)
  const { attempt } = delivery
  return Output.line([
    attempt.startedAt.slice(11, 23),
    Output.status(attempt.outcome),
    attempt.statusCode === undefined ? "-" : String(attempt.statusCode),
    `${attempt.durationMs} ms`,
    `attempt ${attempt.number}`,
    delivery.eventId,
    delivery.id,
    ...(attempt.error === undefined ? [] : [`${attempt.error.tag}: ${attempt.error.message}`]),
    delivery.nextAttemptAt === undefined
      ? { text: [delivery.status, delivery.reason].filter((text) => text !== undefined).join(": "), tone: "dim" }
      : `again at ${delivery.nextAttemptAt}`
  ])
}
