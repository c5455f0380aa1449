/**
 * A chat system inside the process, and a provider that posts to its rooms through connections: what it sees and what it
 * answers is the test's.
 */
import { Clock, Effect, Latch, Layer, Redacted, Schema } from "effect"
import type { Sharding } from "effect/cluster"
import * as Cluster from "../../src/Cluster.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Provider from "../../src/Provider.ts"
import type { Storage } from "../../src/Storage.ts"
import { Endpoints, IncidentPlugin, SecretsTest, TestPlugin } from "./world.ts"

export const Account = Schema.Struct({
  server: Schema.String.check(Schema.isPattern(/^https:\/\//u, { message: "an https URL" })),
  token: Schema.Redacted(Schema.String),
  proxy: Schema.optionalKey(Schema.Struct({
    user: Schema.String,
    password: Schema.optionalKey(Schema.String.annotate({ secret: true }))
  }))
})

type Account = typeof Account.Type

/** A message that was posted, with whose credentials. */
export interface Posted {
  readonly room: string
  readonly token: string
  readonly atMs: number
}

export class Chat {
  readonly posted: Array<Posted> = []
  /** Posting waits for it. */
  readonly open = Latch.makeUnsafe(true)
  test: (account: Account) => Effect.Effect<{ readonly message?: string } | void, Provider.ProviderError> = () =>
    Effect.succeed({ message: "Connected as hookline" })
  rooms: (
    account: Account,
    context: Provider.OptionContext
  ) => Effect.Effect<ReadonlyArray<Provider.ConnectionOption>, Provider.ProviderError> = () => Effect.succeed([])

  with(token: string): ReadonlyArray<Posted> {
    return this.posted.filter((posted) => posted.token === token)
  }
}

export const ChatPlugin = (chat: Chat) =>
  Plugin.make("chat", {
    providers: [
      Provider.make({
        id: "room",
        displayName: "Chat room",
        config: Schema.Struct({ room: Schema.String }),
        connection: Account,
        bind: ({ room }, { server, token }) => ({
          check: room === "forbidden"
            ? Effect.fail(new Provider.ConfigRefused({ path: "config.room", message: "It is forbidden" }))
            : Effect.void,
          preview: ({ message }) =>
            Effect.succeed({
              method: "POST",
              url: `${server}/rooms/${room}`,
              headers: [{ name: "authorization", value: "***" }],
              body: message.payloadJson
            }),
          deliver: Effect.fnUntraced(function*() {
            chat.posted.push({ room, token: Redacted.value(token), atMs: yield* Clock.currentTimeMillis })
            yield* chat.open.await
            return { externalId: "m1" }
          })
        }),
        testConnection: (account) => chat.test(account),
        options: { rooms: (account, context) => chat.rooms(account, context) }
      }),
      Provider.make({
        id: "untested",
        displayName: "Chat without a test",
        config: Schema.Struct({}),
        connection: Account,
        bind: () => ({ check: Effect.void, deliver: () => Effect.succeed({}) })
      })
    ]
  })

/** A whole Hookline with the chat, on a storage of the test's. */
export const layerOn = <R, E, RIn, E2 = never, R2 extends R | Storage = Storage>(
  chat: Chat,
  storage: Layer.Layer<R | Storage, E, RIn>,
  cluster?: Layer.Layer<Sharding.Sharding, E2, R2>
) =>
  Hookline.layer({
    plugins: Layer.mergeAll(IncidentPlugin, TestPlugin(new Endpoints()), ChatPlugin(chat)),
    cluster: cluster ?? Cluster.single
  }).pipe(
    Layer.provideMerge(storage),
    Layer.provideMerge(SecretsTest)
  )

/** A connection as a caller makes it. */
export const account = (extra: { readonly [name: string]: Schema.Json } = {}) => ({
  name: "chat",
  providerId: "chat.room",
  config: { server: "https://chat.example.com", token: "pl4nted-one", ...extra }
})

/** A subscription of a room as a caller makes it. */
export const room = (connectionId: string, name = "a") => ({
  name,
  events: ["incident.incident.created"],
  providerId: "chat.room",
  config: { room: name },
  connectionId
})
