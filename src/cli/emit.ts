/**
 * `hookline emit`: emits one message, or a batch of them.
 */
import { Console, Effect, Option, Schema, Stdio } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { IsoTime } from "../http/Time.ts"
import { defaults } from "../Limits.ts"
import { emitBatch } from "./emitBatch.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

const text = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(defaults.keyLength))

const flags = {
  event: Argument.String("event").pipe(
    Argument.withDescription("The event's id, such as incident.incident.created"),
    Argument.optional
  ),
  batch: Flag.String("batch").pipe(
    Flag.withDescription(
      "A file with a message a line, as the API takes it; all are stored or none; - is standard input"
    ),
    Flag.optional
  ),
  payload: Flag.String("payload").pipe(Flag.withDescription("The payload, as JSON"), Flag.optional),
  file: Flag.String("file").pipe(
    Flag.withDescription("The file that holds the payload; - is standard input"),
    Flag.optional
  ),
  idempotencyKey: Flag.String("idempotency-key").pipe(
    Flag.withSchema(text),
    Flag.withDescription("A key under which a repetition is the same message"),
    Flag.optional
  ),
  orderingKey: Flag.String("ordering-key").pipe(
    Flag.withSchema(text),
    Flag.withDescription("What the message is ordered by, instead of what its hook says"),
    Flag.optional
  ),
  deliverAt: Flag.String("deliver-at").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("When it is delivered, in ISO 8601 (at once)"),
    Flag.optional
  ),
  expiresAt: Flag.String("expires-at").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("From when on no attempt begins, in ISO 8601"),
    Flag.optional
  ),
  tenantId: Flag.String("tenant").pipe(
    Flag.withSchema(text),
    Flag.withDescription("Whose message it is"),
    Flag.optional
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const emit = Command.make("emit", { ...flags, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const { event } = given
    if (Option.isSome(given.batch)) {
      const others = [event, given.payload, given.file, given.idempotencyKey, given.orderingKey, given.tenantId]
      if ([...others, given.deliverAt, given.expiresAt].some(Option.isSome)) {
        return yield* new Remote.CommandFailed({
          message: "Each line of a batch is a whole message: leave the event and the other flags out."
        })
      }
      return yield* emitBatch(given.batch.value, given)
    }
    if (Option.isNone(event)) {
      return yield* new Remote.CommandFailed({
        message: "Say which event, as in `hookline emit incident.incident.created`, or pass --batch."
      })
    }
    const payload = yield* read(given)
    const remote = yield* Remote.connect(given)
    const emitted = yield* remote.ask((client) =>
      client.messages.emit({
        payload: {
          eventId: event.value,
          payload,
          ...Input.given({
            idempotencyKey: given.idempotencyKey,
            orderingKey: given.orderingKey,
            deliverAt: given.deliverAt,
            expiresAt: given.expiresAt,
            tenantId: given.tenantId
          })
        }
      })
    )
    if (given.json) return yield* Output.json(emitted)
    yield* Console.log(emitted.id)
    yield* Console.error(`Its deliveries: hookline deliveries --message ${emitted.id}`)
  })).pipe(
    Command.withDescription("Emits a message, whose payload comes from --payload, --file or standard input, or a batch")
  )

// --- internal ---

const read = Effect.fnUntraced(function*(given: {
  readonly payload: Option.Option<string>
  readonly file: Option.Option<string>
}) {
  const { file, payload } = given
  if (Option.isSome(payload) && Option.isSome(file)) {
    return yield* new Remote.CommandFailed({ message: "--payload and --file exclude each other: pass one of them." })
  }
  if (Option.isSome(payload)) return yield* Input.json(payload.value, "--payload")
  const path = Option.getOrElse(file, () => "-")
  if (Option.isNone(file) && (yield* Effect.flatMap(Stdio.Stdio, ({ stdinIsTerminal }) => stdinIsTerminal))) {
    return yield* new Remote.CommandFailed({
      message: "There is no payload: pass it with --payload or --file, or pipe it in."
    })
  }
  return yield* Input.fileJson(path)
})
