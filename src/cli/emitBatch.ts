/**
 * A batch of messages from a file: one JSON object a line, each as `POST /messages` takes it; all are stored or none.
 */
import { Console, Effect, Schema } from "effect"
import { defaults } from "../Limits.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * Emits the messages of a file; `-` is standard input.
 *
 * @category combinators
 * @since 0.1.0
 */
export const emitBatch = Effect.fnUntraced(function*(path: string, given: Remote.Given) {
  const messages = yield* read(path)
  const remote = yield* Remote.connect(given)
  const emitted = yield* remote.ask((client) => client.messages.emitBatch({ payload: { messages } }))
  if (given.json) return yield* Output.json(emitted)
  for (const id of emitted.ids) yield* Console.log(id)
})

// --- internal ---

const read = Effect.fnUntraced(function*(path: string) {
  const source = Input.sourceOf(path)
  // Loaded when it is needed: the contract takes a while.
  const { Emission } = yield* Effect.promise(() => import("../http/MessagesApi.ts"))
  const decode = Schema.decodeUnknownEffect(Emission)
  const messages: Array<typeof Emission.Type> = []
  for (const [n, line] of (yield* Input.fileText(path)).split("\n").entries()) {
    if (line.trim() === "") continue
    const at = `Line ${n + 1} of ${source}`
    const message = yield* Effect.mapError(
      decode(yield* Input.json(line, at), { onExcessProperty: "error" }),
      (error) => {
        const { message, path } = SchemaErrors.first(error, [])
        return new Remote.CommandFailed({ message: `${at} is no message: ${path === "" ? "" : `${path}: `}${message}` })
      }
    )
    messages.push(message)
  }
  if (messages.length === 0 || messages.length > defaults.batchMessages) {
    return yield* new Remote.CommandFailed({
      message:
        `${source} has ${messages.length} messages: a batch has 1 to ${defaults.batchMessages}, one JSON object a line.`
    })
  }
  return messages
})
