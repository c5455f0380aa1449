/**
 * What a key of one tenant is told of another: every route that reads, by every filter it has, asked before the other tenant has
 * anything and again afterwards, in steps as short as can be.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { OpenApi } from "effect/http-api"
import { documented } from "../../src/http/Description.ts"
import * as Id from "../../src/Id.ts"
import * as Limits from "../../src/Limits.ts"
import { allTenants } from "../../src/Message.ts"
import * as Provider from "../../src/Provider.ts"
import { Storage } from "../../src/Storage.ts"
import { subscribe } from "../storage/support.ts"
import { Chat, ChatPlugin } from "../support/chat.ts"
import { Endpoints } from "../support/world.ts"
import * as Contract from "./fuzz/Contract.ts"
import { call, emission, eventually, server, subscription } from "./support.ts"

const contract = Contract.read(OpenApi.fromApi(documented))

/** What there is of each collection. */
type Ids = Readonly<Record<"subscriptions" | "messages" | "deliveries" | "keys" | "connections" | "replays", string>>

const posted = Effect.fnUntraced(function*(path: string, body: Parameters<typeof call>[2], key?: string) {
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const { json, status, text } = yield* call("POST", `/api/v1/${path}`, body, headers)
  assert.isBelow(status, 300, text)
  return json
})

/** Makes a tenant's things: deliveries that ended well, that did not and that wait, also of a work queue, and all the rest. */
const made = Effect.fnUntraced(function*(tenantId: string, count: number) {
  const create = (name: string) => posted("subscriptions", subscription({ tenantId, config: { name } }))
  const held = yield* create("held")
  for (const name of ["a", "fails"]) yield* create(name)
  yield* posted(`subscriptions/${String(held["id"])}/disable`, undefined)
  const messages = yield* Effect.replicateEffect(posted("messages", emission({ tenantId })), count)
  const config = { server: "https://chat.example.com", token: tenantId }
  const key = yield* posted("keys", { name: tenantId, scopes: ["admin"], tenantId })
  const connection = yield* posted("connections", { name: tenantId, providerId: "chat.room", tenantId, config })
  const storage = yield* Storage
  const deliveries = yield* eventually(
    "all deliveries have ended, or are held",
    storage.listDeliveries({ tenantId }, { cursor: undefined, limit: 100 }),
    (found) =>
      found.length === 4 * count && found.every(({ completedAtMs, reason }) => reason === "held" || completedAtMs)
  )
  const replay = yield* posted("replays", { filter: { from: "2026-01-31T12:00:00Z", status: "cancelled" }, tenantId })
  const ids: Ids = {
    subscriptions: String(held["id"]),
    messages: String(messages[0]?.["id"]),
    deliveries: String(deliveries[0]?.id),
    keys: String(key["id"]),
    connections: String(connection["id"]),
    replays: String(replay["id"])
  }
  yield* eventually(
    "the replay has ended",
    call("GET", `/api/v1/replays/${ids.replays}`),
    ({ json }) => json["state"] === "completed"
  )
  return { ids, key: String(key["key"]) }
})

/** A work queue: nobody's, with deliveries of everybody's messages. */
const queued = subscribe({ tenantId: allTenants, name: "queue", events: ["incident.*"], config: { name: "queue" } })

/** Ids that nothing has. */
const none = Effect.gen(function*() {
  const ids: Ids = {
    subscriptions: yield* Id.subscriptionId(0),
    messages: yield* Id.messageId(0),
    deliveries: yield* Id.deliveryId(0),
    keys: yield* Id.keyId(0),
    connections: yield* Id.connectionId(0),
    replays: yield* Id.replayId(0)
  }
  return ids
})

/** What each filter may say. A filter that is not here fails the test: it has to be thought of. */
const valuesOf = (mine: Ids, theirs: Ids, queue: string): Readonly<Record<string, ReadonlyArray<string>>> => ({
  subscriptionId: [mine.subscriptions, theirs.subscriptions, queue],
  messageId: [mine.messages, theirs.messages],
  connectionId: [mine.connections, theirs.connections],
  resourceId: [mine.subscriptions, theirs.subscriptions],
  actorId: [mine.keys, theirs.keys],
  action: ["subscription.create"],
  eventId: ["incident.incident.created"],
  providerId: ["test.endpoint", "chat.room"],
  status: ["success", "failed", "cancelled", "pending", "retrying"],
  state: ["completed", "running"],
  reason: ["permanent", "expired", "deleted", "held"],
  enabled: ["true", "false"],
  failing: ["true", "false"],
  hours: ["1"],
  from: ["2026-01-31T12:00:00Z"],
  to: ["2999-01-31T12:00:00Z"],
  groupBy: ["category"],
  runnerId: ["nothing"],
  tenantId: ["north"]
})

/** Each filter by each of its values alone, and each two of them together. */
const queries = (names: ReadonlyArray<string>, values: ReturnType<typeof valuesOf>): ReadonlyArray<string> => {
  const single = names.map((name) =>
    (values[name] ?? assert.fail(`the filter ${name} is not known here`)).map((value) => `${name}=${value}`)
  )
  const pairs = single.flatMap((some, n) =>
    single.slice(n + 1).flatMap((more) => more.flatMap((b) => some.map((a) => `${a}&${b}`)))
  )
  return ["", ...single.flat(), ...pairs]
}

describe("a key of one tenant", () => {
  it.live("neither sees nor changes what the backend's own work queues do with the tenant's messages", () => {
    const endpoints = new Endpoints()
    const fails = (message: string) => () => Effect.fail(new Provider.PermanentError({ code: "no", message }))
    endpoints.behaviours.set("queue", fails("db-7 is down"))
    endpoints.behaviours.set("fails", fails("no"))
    return Effect.gen(function*() {
      const queue = yield* queued
      const { ids, key } = yield* made("south", 2)
      const storage = yield* Storage
      const all = yield* storage.listDeliveries({ tenantId: "south" }, { cursor: undefined, limit: 100 })
      const [work] = all.filter(({ subscriptionId }) => subscriptionId === queue)
      assert(work !== undefined && work.lastError === "db-7 is down")
      const ask = (method: string, path: string, body?: Parameters<typeof call>[2]) =>
        call(method, `/api/v1/${path}`, body, { authorization: `Bearer ${key}` })
      for (const query of ["", `subscriptionId=${queue}`, `messageId=${work.messageId}`, "status=failed"]) {
        const mine = yield* ask("GET", `deliveries?limit=100&${query}`)
        assert.notInclude(mine.text, queue, query)
        assert.strictEqual(mine.json["nextCursor"], null, query)
        const theirs = yield* call("GET", `/api/v1/deliveries?limit=100&${query}`)
        assert.include(theirs.text, "db-7 is down", query)
      }
      for (const [method, action] of [["GET", ""], ["POST", "/retry"], ["POST", "/skip"]] as const) {
        assert.strictEqual((yield* ask(method, `deliveries/${work.id}${action}`)).status, 404, action)
      }
      const stats = yield* ask("GET", "stats")
      assert.notInclude(stats.text, queue)
      assert.deepInclude(Object(stats.json["totals"]), { success: 2, failed: 2 })
      assert.deepInclude(Object((yield* call("GET", "/api/v1/stats?tenantId=south")).json["totals"]), {
        success: 2,
        failed: 4
      })
      const replayed = (filter: Readonly<Record<string, string>>) => ask("POST", "replays", { dryRun: true, filter })
      assert.deepInclude(yield* replayed({ subscriptionId: queue }), { status: 422 })
      assert.deepInclude((yield* replayed({ messageId: work.messageId })).json, { matched: 1 })
      assert.deepInclude((yield* replayed({ from: "2026-01-31T12:00:00Z" })).json, { matched: 2 })
      yield* storage.deleteSubscription(work.subscriptionId)
      assert.notInclude((yield* ask("GET", "deliveries?limit=100")).text, queue)
      assert.strictEqual((yield* ask("GET", `deliveries/${work.id}`)).status, 404)
      const explained = yield* ask("GET", `messages/${ids.messages}/explain`)
      assert.notInclude(explained.text, queue)
    }).pipe(Effect.provide(server({ endpoints, plugins: ChatPlugin(new Chat()) })))
  }, 60_000)

  it.live("is told the same, to the letter, whatever another tenant has", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("fails", () => Effect.fail(new Provider.PermanentError({ code: "no", message: "no" })))
    return Effect.gen(function*() {
      const queue = yield* queued
      const south = yield* made("south", 2)
      const headers = { authorization: `Bearer ${south.key}` }
      /** The pages of a list, or the one answer that there is. */
      const read = Effect.fnUntraced(function*(path: string, query: string) {
        const told: Array<string> = []
        let cursor: unknown
        do {
          const target = `${path}?${query}${typeof cursor === "string" ? `&cursor=${cursor}` : ""}`
          const { json, status, text } = yield* call("GET", target, undefined, headers)
          // Statistics tell the time, too.
          const still = Object.entries(json).filter(([name]) => !["from", "series", "to"].includes(name))
          told.push(`${status} ${text.startsWith("{") ? JSON.stringify(still) : text}`)
          cursor = json["nextCursor"]
        } while (cursor !== null && cursor !== undefined && told.length < 100)
        return told
      })
      const observed = Effect.fnUntraced(function*(theirs: Ids) {
        const answers = new Map<string, unknown>()
        const named = (text: string) =>
          Object.entries(theirs).reduce((text, [name, id]) => text.replaceAll(id, `theirs of ${name}`), text)
        const note = (name: string, told: ReadonlyArray<string>) => answers.set(named(name), told.map(named))
        for (const { method, parameters, path } of contract.operations) {
          // A stream has no end; what it tells is proven of `Live`.
          if (method !== "GET" || !path.startsWith("/api/v1/") || path.endsWith("/stream")) continue
          const [, , , resource = ""] = path.split("/")
          const id = Object.entries(theirs).find(([name]) => name === resource)?.[1]
          const at = path.replace("{id}", id ?? "nothing")
          const names = parameters.flatMap((parameter) =>
            parameter.in === "query" && !["cursor", "limit"].includes(parameter.name) ? [parameter.name] : []
          )
          for (const query of queries(names, valuesOf(south.ids, theirs, queue))) {
            note(`GET ${at}?${query}`, yield* read(at, query))
          }
        }
        const filters = [
          { subscriptionId: theirs.subscriptions },
          { messageId: theirs.messages },
          { subscriptionId: queue },
          { eventId: "incident.incident.created" },
          { from: "2026-01-31T12:00:00Z" }
        ]
        for (const filter of filters) {
          for (const status of ["failed", "success"]) {
            const body = { dryRun: true, filter: { ...filter, status } }
            const { status: is, text } = yield* call("POST", "/api/v1/replays", body, headers)
            note(`POST replays ${JSON.stringify(body)}`, [`${is} ${text}`])
          }
        }
        return answers
      })
      const before = yield* observed(yield* none)
      const north = yield* made("north", 8)
      const after = yield* observed(north.ids)
      assert.isAbove(before.size, 200)
      for (const [name, told] of before) assert.deepStrictEqual(after.get(name), told, name)
    }).pipe(Effect.provide(
      server({ endpoints, plugins: ChatPlugin(new Chat()) }).pipe(
        Layer.provide(Limits.layer({ listLook: 2, statsCounted: 2, replayCounted: 10, keyRequests: 1_000_000 }))
      )
    ))
  }, 120_000)
})
