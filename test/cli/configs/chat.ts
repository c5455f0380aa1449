/**
 * Plugins of a test: an event, and the chat whose rooms are delivered to through connections.
 */
import { Effect, Layer, Redacted } from "effect"
import * as Provider from "../../../src/Provider.ts"
import { Chat, ChatPlugin } from "../../support/chat.ts"
import { IncidentPlugin } from "../../support/world.ts"

const chat = new Chat()

chat.test = ({ token }) =>
  Redacted.value(token) === "pl4nted-good"
    ? Effect.succeed({ message: "Connected as hookline" })
    : Effect.fail(
      new Provider.PermanentError({ code: "HttpStatus", message: `HTTP 401 to ${Redacted.value(token)}` })
    )

chat.rooms = (_, { space }) =>
  space === undefined
    ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 503" }))
    : Effect.succeed([{ value: "r1", label: "Room 1", description: `in ${String(space)}` }, {
      value: "r2",
      label: "2"
    }])

export default Layer.mergeAll(IncidentPlugin, ChatPlugin(chat))
