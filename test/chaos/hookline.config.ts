/**
 * What the runners run: sixteen events, so that their groups spread over all runners; the webhook provider, which says in each
 * request of which process it is; and handlers, which post what they are told to the chaos' receivers and fail where those do.
 */
import { Clock, Effect, Schedule, Schema } from "effect"
import { randomUUID } from "node:crypto"
import type { Received } from "../../src/Handler.ts"
import * as Hook from "../../src/Hook.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Webhook from "../../src/plugins/webhook/index.ts"
import * as Provider from "../../src/Provider.ts"
import * as RetrySchedule from "../../src/RetrySchedule.ts"
import * as Events from "./Events.ts"

const processName = process.env[Events.processVariable] ?? "nobody"

const hooks = Events.hookIds.map((id) =>
  Hook.make(id, { payload: Schema.Struct({ key: Schema.String }), orderingKey: ({ key }) => Events.orderOf(key) })
)

const hookOf = (id: string) => hooks.filter((hook) => hook.id === id)

const endpoint = Provider.make({
  id: "endpoint",
  displayName: "Endpoint",
  config: Webhook.WebhookConfig,
  bind: (config) =>
    Webhook.provider.bind({ ...config, customHeaders: [{ name: Events.processHeader, value: processName }] })
})

/** Posts what a handler is told. */
const post = Effect.fnUntraced(
  function*(name: string, key: string, received: Received, headers: Record<string, string>) {
    const atMs = yield* Clock.currentTimeMillis
    const { ok, status } = yield* Effect.tryPromise((signal) =>
      fetch(process.env[Events.handlerVariable(name)] ?? "", {
        method: "POST",
        signal,
        headers: {
          "content-type": "application/json",
          "webhook-id": received.messageId,
          "webhook-timestamp": String(Math.floor(atMs / 1000)),
          "x-event-type": received.eventId,
          [Events.processHeader]: processName,
          [Events.attemptHeader]: String(received.attempt),
          ...headers
        },
        body: JSON.stringify({ data: { key } })
      }).then(async (response) => {
        await response.arrayBuffer()
        return response
      })
    ).pipe(Effect.timeout("1 second"))
    if (!ok) return yield* Effect.fail(new Error(`The receiver answered ${status}`))
  }
)

const queues = Events.queues.flatMap((workerGroup) =>
  hookOf(Events.queuedHook).map((hook) =>
    Hook.on(hook, ({ key }, received) => post(workerGroup, key, received, {}), {
      mode: "work-queue",
      workerGroup,
      retry: RetrySchedule.fromJson(Events.patientRetry)
    })
  )
)

/** What was heard is told until it is known, under the name of this hearing: the network is not what is tried here. */
const broadcasts = hookOf(Events.hotHook).map((hook) =>
  Hook.on(hook, ({ key }, received) =>
    Effect.suspend(() => {
      const hearing = { [Events.hearingHeader]: randomUUID() }
      return post(Events.broadcastName, key, received, hearing).pipe(Effect.retry(Schedule.spaced("100 millis")))
    }))
)

export default Plugin.make(Events.pluginId, {
  hooks,
  events: hooks.map((hook) => IntegrationEvent.make(hook, { displayName: hook.id })),
  providers: [endpoint],
  handlers: [...queues, ...broadcasts]
})
