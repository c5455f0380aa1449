/**
 * Attempts that are one request, which need no fiber of their own: they end as the provider's `deliver` would have them end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Result, Schema } from "effect"
import * as Cluster from "../src/Cluster.ts"
import { ConnectionFailed, Egress, type EgressError, type EgressRequest, type EgressResponse } from "../src/Egress.ts"
import * as Hook from "../src/Hook.ts"
import * as Hookline from "../src/Hookline.ts"
import type { DeliveryId } from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Created, IncidentPlugin, SecretsTest, until, within } from "./support/world.ts"

type Told = (result: Result.Result<EgressResponse, EgressError>) => void

const ok = Result.succeed({ statusCode: 200, headers: {}, body: "" })

/** A door whose requests are answered by hand, or at once where it says how. */
class Door {
  readonly begun: Array<{ readonly request: EgressRequest; readonly told: Told }> = []
  readonly givenUp = new Set<EgressRequest>()
  /** How often `deliver` was called. */
  delivered = 0
  answer: ((request: EgressRequest) => Result.Result<EgressResponse, EgressError> | undefined) | undefined
  exchange: (attempt: Provider.Attempt, usual: Provider.Exchange) => Provider.Exchange | undefined = (_, usual) => usual

  layer(has: { readonly begin: boolean }) {
    const begin: Egress["Service"]["begin"] = (request, note, told) => {
      note.phases = { totalMs: 7 }
      this.begun.push({ request, told })
      const answer = this.answer?.(request)
      if (answer) told(answer)
      return () => {
        this.givenUp.add(request)
      }
    }
    const egress = {
      send: () => Effect.die("nothing is sent but by exchanges"),
      check: () => Effect.void,
      ...(has.begin ? { begin } : {})
    }
    const plugin = Plugin.make("mail", {
      providers: [Provider.make({
        id: "letter",
        displayName: "Letter",
        config: Schema.Struct({}),
        bind: (): Provider.Bound<Egress> => ({
          check: Effect.void,
          deliver: () => Effect.andThen(Egress, Effect.sync(() => ({ statusCode: 202, n: this.delivered++ }))),
          exchange: (attempt) => this.exchange(attempt, exchangeOf(attempt))
        })
      })]
    })
    return Hookline.layer({
      plugins: Layer.merge(IncidentPlugin, plugin.pipe(Layer.provide(Layer.succeed(Egress, egress)))),
      cluster: Cluster.single
    }).pipe(Layer.provideMerge(StorageMemory.layer), Layer.provide(SecretsTest))
  }
}

const exchangeOf = ({ message, number }: Provider.Attempt): Provider.Exchange => {
  const request = { method: "POST", url: "https://example.com/letter", headers: [], body: message.payloadJson }
  return {
    request,
    shown: { ...request, headers: [{ name: "x-attempt", value: String(number) }] },
    judge: (result) =>
      Result.isSuccess(result)
        ? Result.succeed({ statusCode: result.success.statusCode })
        : Result.fail(new Provider.RetryableError({ code: result.failure._tag, message: result.failure.message }))
  }
}

/** Subscribes; the first attempt binds the subscription, and is made by `deliver`. */
const subscribe = (door: Door, extra = {}) =>
  Effect.gen(function*() {
    yield* Subscriptions.use((subscriptions) =>
      subscriptions.create({
        name: "letters",
        events: ["incident.incident.created"],
        providerId: "mail.letter",
        config: {},
        retry: { type: "delays", delaysMs: [1000] },
        ...extra
      })
    )
    yield* emit()
    yield* until("the first is delivered", () => Effect.map(deliveries, ([one]) => one?.status === "success"))
    assert.strictEqual(door.delivered, 1)
    door.delivered = 0
  })

const emit = (count = 1) =>
  Effect.forEach(Array.from({ length: count }), (_, n) => Hook.emit(Created, { incidentId: `i${n}`, systemIds: [] }))

const deliveries = Effect.flatMap(
  Storage,
  (storage) => Effect.orDie(storage.listDeliveries({}, { cursor: undefined, limit: 500 }))
)

/** All but the first. */
const others = Effect.map(deliveries, (all) => all.slice(0, -1))

const ended = (status: string, count: number) =>
  until(
    `${count} more have ended as ${status}`,
    () => Effect.map(others, (all) => all.filter((one) => one.status === status).length === count)
  )

const attemptsOf = (id: DeliveryId) =>
  Effect.flatMap(
    Storage,
    (storage) => Effect.map(Effect.orDie(storage.getDelivery(id)), (found) => Option.getOrThrow(found).attempts)
  )

const world = (
  test: (door: Door) => Effect.Effect<void, unknown, Layer.Success<ReturnType<Door["layer"]>>>,
  limits: Partial<Limits.Limits> = {}
) =>
() => {
  const door = new Door()
  return within(door.layer({ begin: true }).pipe(Layer.provide(Limits.layer(limits))), test(door))
}

describe("an attempt that is one request", () => {
  it.effect(
    "is made without `deliver`, and logged with its request and its phases",
    world(Effect.fnUntraced(function*(door) {
      door.answer = () => ok
      yield* subscribe(door)
      yield* emit(100)
      yield* ended("success", 100)
      assert.strictEqual(door.begun.length, 100)
      assert.strictEqual(door.delivered, 0)
      const [one] = yield* others
      assert.isDefined(one)
      const [attempt] = yield* attemptsOf(one.id)
      assert.deepInclude(attempt, { number: 1, outcome: "success", statusCode: 200, phases: { totalMs: 7 } })
      assert.deepInclude(attempt?.request, { method: "POST", headers: [{ name: "x-attempt", value: "1" }] })
    }))
  )

  it.effect(
    "is followed by the next one of its lane when it is answered, and not before",
    world(Effect.fnUntraced(function*(door) {
      yield* subscribe(door, { maxConcurrency: 1 })
      yield* emit(3)
      for (let n = 1; n <= 3; n++) {
        yield* until(`request ${n} is sent`, () => door.begun.length === n)
        door.begun.at(-1)?.told(ok)
      }
      yield* ended("success", 3)
    }))
  )

  it.effect(
    "is tried again by its schedule where it fails, and exhausted in the end",
    world(Effect.fnUntraced(function*(door) {
      door.answer = () => Result.fail(new ConnectionFailed({ code: "ECONNRESET", message: "it broke" }))
      yield* subscribe(door)
      yield* emit()
      yield* ended("failed", 1)
      const [one] = yield* others
      assert.deepInclude(one, { reason: "exhausted", attemptCount: 2, lastError: "it broke" })
      assert.strictEqual(door.delivered, 0)
    }))
  )

  it.effect(
    "is made by `deliver` where no exchange is told, or to tell one throws",
    world(Effect.fnUntraced(function*(door) {
      door.exchange = ({ message }) => {
        if (message.payloadJson.includes("i1")) throw new Error("oops")
        return undefined
      }
      yield* subscribe(door)
      yield* emit(2)
      yield* ended("success", 2)
      assert.strictEqual(door.delivered, 2)
      assert.strictEqual(door.begun.length, 0)
    }))
  )

  it.effect(
    "is the provider's fault where the answer's judge throws or makes no sense, and holds nothing back",
    world(Effect.fnUntraced(function*(door) {
      door.answer = () => ok
      const judges: Record<string, Provider.Exchange["judge"]> = {
        i0: () => {
          throw new Error("oops")
        },
        // A status is a number.
        i1: () => Result.succeed(JSON.parse("{\"statusCode\":\"200\"}"))
      }
      door.exchange = ({ message }, usual) => ({
        ...usual,
        judge: judges[JSON.parse(message.payloadJson).incidentId] ?? usual.judge
      })
      yield* subscribe(door, { retry: { type: "delays", delaysMs: [] } })
      yield* emit(3)
      yield* ended("failed", 2)
      yield* ended("success", 1)
      assert.sameMembers((yield* others).flatMap((one) => one.lastError ?? []), [
        "oops",
        "the provider's answer is not what a delivery answers"
      ])
    }))
  )

  it.effect(
    "is the provider's fault where the door can make nothing of its request",
    world(Effect.fnUntraced(function*(door) {
      door.answer = () => {
        throw new Error("no such method")
      }
      yield* subscribe(door, { retry: { type: "delays", delaysMs: [] } })
      yield* emit(2)
      yield* ended("failed", 2)
      assert.deepStrictEqual((yield* others).map((one) => one.lastError), ["no such method", "no such method"])
    }))
  )

  it.effect(
    "is given up when it has taken as long as an attempt may take, and the next one is made",
    world(Effect.fnUntraced(function*(door) {
      yield* subscribe(door, { maxConcurrency: 1, retry: { type: "delays", delaysMs: [] } })
      yield* emit(2)
      yield* until("one is sent", () => door.begun.length === 1)
      yield* until("the other is sent", () => door.begun.length === 2, 2 * Limits.defaults.attemptTimeoutMs)
      assert.strictEqual(door.givenUp.size, 1)
      door.begun[1]?.told(ok)
      yield* ended("success", 1)
      yield* ended("failed", 1)
    }))
  )

  it.effect(
    "is made by a door that answers before it has returned, however many wait, and given up alone",
    world(Effect.fnUntraced(function*(door) {
      let left = 1500
      door.answer = () => left-- > 0 ? ok : undefined
      yield* subscribe(door, { retry: { type: "delays", delaysMs: [] } })
      yield* emit(1501)
      yield* until("all but one are answered", () => door.begun.length === 1501)
      assert.strictEqual(door.givenUp.size, 0)
      yield* until("the last one is given up", () => door.givenUp.size > 0, 2 * Limits.defaults.attemptTimeoutMs)
      assert.deepStrictEqual([...door.givenUp], [door.begun.at(-1)?.request])
    }))
  )

  it.effect(
    "leaves others their turn, though its door answers before it has returned",
    world(
      Effect.fnUntraced(function*(door) {
        let turns = 0
        const atTurn: Array<number> = []
        door.answer = () => {
          atTurn.push(turns)
          return ok
        }
        yield* subscribe(door)
        atTurn.length = 0
        yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.yieldNow, Effect.sync(() => turns++))))
        yield* emit(400)
        yield* ended("success", 400)
        const inTurn = Map.groupBy(atTurn, (turn) => turn)
        assert.isAtMost(Math.max(...Array.from(inTurn.values(), ({ length }) => length)), 64)
      }),
      { laneSlots: 1 }
    )
  )

  it.effect(
    "ends once, though its door tells of it twice, or after it was given up",
    world(Effect.fnUntraced(function*(door) {
      yield* subscribe(door, { maxConcurrency: 1, retry: { type: "delays", delaysMs: [] } })
      yield* emit(3)
      yield* until("one is sent", () => door.begun.length === 1)
      door.begun[0]?.told(ok)
      door.begun[0]?.told(Result.fail(new ConnectionFailed({ code: "ECONNRESET", message: "too late" })))
      yield* until("the next one is given up", () => door.givenUp.size === 1, 2 * Limits.defaults.attemptTimeoutMs)
      door.begun[1]?.told(ok)
      yield* until("the last one is sent", () => door.begun.length === 3)
      door.begun[0]?.told(ok)
      door.begun[1]?.told(ok)
      assert.deepStrictEqual((yield* others).map((one) => one.status).sort(), ["failed", "pending", "success"])
      door.begun[2]?.told(ok)
      yield* ended("success", 2)
      yield* ended("failed", 1)
    }))
  )

  it.effect("is made by `deliver` where the provider's door has no other way", () => {
    const door = new Door()
    return Effect.gen(function*() {
      yield* subscribe(door)
      yield* emit(2)
      yield* ended("success", 2)
      assert.strictEqual(door.delivered, 2)
    }).pipe(Effect.provide(door.layer({ begin: false })))
  })
})
