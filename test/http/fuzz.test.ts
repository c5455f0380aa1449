/**
 * Requests by the thousand to every operation of `openapi.json`, well made, nearly well made and hostile, with keys of every
 * scope and with none. `HOOKLINE_FUZZ_REQUESTS` says how many, `HOOKLINE_FUZZ_SEED` which; `HOOKLINE_FUZZ_FROM` begins at the
 * number of a finding.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References, type Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { documented } from "../../src/http/Description.ts"
import * as Limits from "../../src/Limits.ts"
import { Chat, ChatPlugin } from "../support/chat.ts"
import * as Contract from "./fuzz/Contract.ts"
import * as Fuzzer from "./fuzz/Fuzzer.ts"
import * as Requests from "./fuzz/Requests.ts"
import * as Values from "./fuzz/Values.ts"
import { adminKey, call, emission, eventually, items, port, server, subscription } from "./support.ts"

const requests = Number(process.env["HOOKLINE_FUZZ_REQUESTS"] ?? 4000)
const seed = process.env["HOOKLINE_FUZZ_SEED"] ?? "hookline"
const from = Number(process.env["HOOKLINE_FUZZ_FROM"] ?? 0)

/** After how many requests the ids are looked up again. */
const portion = 1000

/** What the heap may grow by from one half to the other, with what was stored meanwhile. */
const growthBytes = 24 * 1024 * 1024

const contract = Contract.read(OpenApi.fromApi(documented))

const createdId = (path: string, body: Schema.Json) =>
  Effect.map(call("POST", `/api/v1${path}`, body), ({ json, status, text }) => {
    assert.isBelow(status, 300, text)
    return { id: String(json["id"]), key: String(json["key"]) }
  })

/** A server with all kinds of providers, which looks at every request however many there are. */
const fuzzed = server({ plugins: ChatPlugin(new Chat()) }).pipe(
  Layer.provide(Limits.layer({ keyRequests: 1_000_000, addressRefusals: 1_000_000 }))
)

/** Makes things to be read and changed, as many of them are deleted on the way. */
const stored = Effect.gen(function*() {
  for (const tenantId of ["default", "acme", "other"]) {
    for (const ordered of [false, true]) {
      yield* createdId("/subscriptions", subscription({ tenantId, ordered, config: { name: `stored-${tenantId}` } }))
    }
    yield* createdId("/messages", emission({ tenantId }))
    yield* createdId("/keys", { name: "stored", scopes: ["read"], tenantId })
    for (const providerId of ["chat.room", "chat.untested"]) {
      const config = { server: "https://chat.example.com", token: `stored-${tenantId}` }
      yield* createdId("/connections", { name: "stored", providerId, tenantId, config })
    }
    yield* createdId("/replays", { filter: { from: "2026-01-31T12:00:00Z" }, tenantId })
  }
})

/** The ids of what is in the collections, newest first, but for some. */
const collected = (spared: ReadonlySet<string>) =>
  Effect.map(
    Effect.forEach(Contract.collections(contract), (path) =>
      Effect.map(call("GET", path), ({ json, status, text }) => {
        assert.strictEqual(status, 200, text)
        return [
          path,
          items(json).map(({ id, tenantId }) => String(id ?? tenantId)).filter((id) => !spared.has(id))
        ] as const
      })),
    (found) => Values.ids(new Map(found))
  )

const keyOf = (name: string, scopes: Requests.Bearer["scopes"], tenantId?: string) =>
  Effect.map(
    createdId("/keys", { name, scopes, ...(tenantId === undefined ? {} : { tenantId }) }),
    ({ id, key }) => ({ id, bearer: { name, authorization: `Bearer ${key}`, scopes, tenantId } })
  )

const nobody = (name: string, authorization: string | undefined): Requests.Bearer => ({
  name,
  authorization,
  scopes: [],
  tenantId: undefined
})

const bearers = Effect.gen(function*() {
  const revoked = yield* createdId("/keys", { name: "revoked", scopes: ["admin"] })
  yield* call("DELETE", `/api/v1/keys/${revoked.id}`)
  const keys = [
    yield* keyOf("a key to read", ["read"]),
    yield* keyOf("a key to manage", ["manage"]),
    yield* keyOf("a key to emit", ["emit"]),
    yield* keyOf("an admin", ["admin"]),
    yield* keyOf("acme's admin", ["admin"], "acme"),
    yield* keyOf("acme's reader", ["read"], "acme"),
    yield* keyOf("other's manager", ["manage", "emit"], "other")
  ]
  const operator = nobody("the admin key", `Bearer ${adminKey}`)
  const all: readonly [Requests.Bearer, ...ReadonlyArray<Requests.Bearer>] = [
    { ...operator, scopes: ["admin"] },
    ...keys.map(({ bearer }) => bearer),
    nobody("nobody", undefined),
    nobody("a revoked key", `Bearer ${revoked.key}`),
    nobody("a wrong key", "Bearer hk_wrong"),
    nobody("no bearer", "Basic aGs6aGs="),
    nobody("an empty key", "Bearer "),
    nobody("a long key", `Bearer ${"k".repeat(6000)}`),
    nobody("a key of odd letters", "Bearer \u00ff\u00fe hk"),
    nobody("two keys", `Bearer hk_a, Bearer ${adminKey}`)
  ]
  return { all, ids: new Set(keys.map(({ id }) => id)) }
})

/** One line of what was done. */
const told = (reports: ReadonlyArray<Fuzzer.Report>, heaps: readonly [number, number], seconds: number) => {
  const counts = new Map<number, number>()
  for (const { byStatus } of reports) {
    for (const [status, count] of byStatus) counts.set(status, (counts.get(status) ?? 0) + count)
  }
  const statuses = [...counts].sort(([a], [b]) => a - b).map(([status, count]) => `${status || "closed"}: ${count}`)
  const slowest = Math.max(...reports.map(({ slowestMs }) => slowestMs))
  const [before, after] = heaps.map((bytes) => (bytes / 2 ** 20).toFixed(1))
  return `fuzzing: seed "${seed}", ${requests} requests in ${seconds.toFixed(1)} s, slowest ${slowest.toFixed(0)} ms; ${
    statuses.join(", ")
  }; heap ${before} -> ${after} MiB\n`
}

describe("the HTTP API under fuzzing", () => {
  it.live(`answers ${requests} requests of the seed "${seed}" as its contract says`, () =>
    Effect.gen(function*() {
      const { all, ids } = yield* bearers
      const began = performance.now()
      const reports: Array<Fuzzer.Report> = []
      const run = Effect.fnUntraced(function*(first: number, last: number) {
        for (let n = first; n < last; n += portion) {
          yield* stored
          const make = Requests.make({ seed, contract, bearers: all, ids: yield* collected(ids) })
          const options = {
            port: yield* port,
            contract,
            make,
            from: n,
            to: Math.min(n + portion, last),
            connections: 16
          }
          reports.push(yield* Effect.promise(() => Fuzzer.run(options)))
        }
        return yield* Effect.promise(Fuzzer.heapUsed)
      })
      const half = from + Math.floor(requests / 2)
      const heaps = [yield* run(from, half), yield* run(half, from + requests)] as const
      process.stdout.write(told(reports, heaps, (performance.now() - began) / 1000))
      const findings = reports.flatMap(({ findings }) => findings)
      assert.isEmpty(findings, JSON.stringify(findings, null, 2))
      assert.isBelow(heaps[1] - heaps[0], growthBytes, "the heap grows from one half to the other")
      // Else nothing was tried that means anything.
      const succeeded = new Set(reports.flatMap(({ succeeded }) => [...succeeded]))
      const never = contract.operations.map(({ id }) => id).filter((id) => !succeeded.has(id))
      assert.isBelow(never.length, contract.operations.length / 4, never.join(", "))
      for (const path of ["/health/live", "/health/ready", "/api/v1/events", "/api/v1/cluster"]) {
        assert.strictEqual((yield* call("GET", path)).status, 200, path)
      }
      const { id } = yield* createdId("/messages", emission({ tenantId: "afterwards" }))
      yield* eventually(
        "a message is routed afterwards",
        Effect.map(call("GET", `/api/v1/messages/${id}`), ({ json }) => json["state"]),
        (state) => state === "routed"
      )
    }).pipe(Effect.provide(fuzzed)), 20_000 + requests * 20)
})

describe("the fuzzer", () => {
  const pretender: Requests.Bearer = {
    name: "one with the admin key who says to have less",
    authorization: `Bearer ${adminKey}`,
    scopes: ["read"],
    tenantId: "acme"
  }
  const makers = () => Requests.make({ seed: "planted", contract, ids: Values.ids(new Map()), bearers: [pretender] })

  it("makes the same requests of the same seed", () => {
    const [one, other] = [makers(), makers()]
    for (let n = 0; n < 500; n++) assert.isTrue(one(n).bytes.equals(other(n).bytes), String(n))
  })

  it.live(
    "finds a failure, a hang, an answer to who may not have it, and what is another tenant's",
    () =>
      Effect.gen(function*() {
        yield* stored
        const options = {
          port: yield* port,
          contract,
          make: makers(),
          from: 0,
          to: 1500,
          connections: 8,
          withinMs: 1000,
          most: 500
        }
        const { findings } = yield* Effect.promise(() => Fuzzer.run(options))
        const found = findings.map(({ finding }) => finding).join("\n")
        for (const sign of ["it is 500", "no answer", "who may not", "another tenant's"]) assert.include(found, sign)
      }).pipe(Effect.provide(
        server({
          plugins: ChatPlugin(new Chat()),
          change: (storage) => ({
            ...storage,
            listKeys: () => Effect.die(new Error("planted")),
            blockedKeys: () => Effect.die(new Error("planted")),
            listMessages: (filter, page) =>
              filter.eventId === undefined ? storage.listMessages(filter, page) : Effect.never
          })
        }).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")))
      )),
    60_000
  )
})
