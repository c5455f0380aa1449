/**
 * The storage's contract on broadcasting: numbered without a gap, in the order of routing, from when somebody listens.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { workerGroup } from "../Message.ts"
import type { Message } from "../Message.ts"
import type { Broadcast } from "../Storage.ts"
import { type Cases, make } from "./StorageSuiteWorld.ts"

const ids = (messages: ReadonlyArray<Pick<Message, "id">>) => messages.map(({ id }) => id)

const heardIds = (heard: ReadonlyArray<Broadcast>) => ids(heard.map(({ message }) => message))

/** A world whose event's group somebody listens to; where the listener begins. */
const listened = Effect.gen(function*() {
  const world = yield* make
  const { owner } = yield* world.own()
  const group = workerGroup(world.eventId)
  const routeSome = (count: number) =>
    Effect.tap(world.append(count, { orderingKey: "k" }), (messages) => world.route(owner, messages, []))
  const before = yield* routeSome(2)
  const [cursor] = yield* world.storage.listen([group])
  if (!cursor) return yield* Effect.die("the group was not listened to")
  return { ...world, before, cursor, group, owner, routeSome }
})

/** @category constants @since 0.1.0 */
export const broadcasting: Cases = {
  "what is routed is heard in that order and as it was emitted, from when somebody listens": Effect.gen(function*() {
    const { append, cursor, group, owner, route, routeSome, storage } = yield* listened
    assert.strictEqual(cursor.workerGroup, group)
    const first = yield* routeSome(3)
    const transformed = yield* append(1)
    yield* route(owner, transformed, [], { transformedJson: `{"b":1}` })
    const heard = yield* storage.hear([cursor], 10)
    assert.deepStrictEqual(heard.map(({ message }) => message), [...first, ...transformed])
    assert.deepStrictEqual(heard.map(({ position }) => position - cursor.position), [1, 2, 3, 4])
    assert.deepStrictEqual(yield* storage.hear([{ workerGroup: group, position: cursor.position + 4 }], 10), [])
  }),
  "each cursor hears on from where it is, and no more than it asks for": Effect.gen(function*() {
    const { cursor, group, routeSome, storage } = yield* listened
    const messages = yield* routeSome(5)
    const at = (n: number) => ({ workerGroup: group, position: cursor.position + n })
    const heard = yield* storage.hear([at(3), at(0), { workerGroup: "integration.suite.nobody", position: 0 }], 2)
    const of = (n: number) => heardIds(heard.filter((one) => one.cursor === n))
    assert.deepStrictEqual(of(0), ids(messages.slice(3)))
    assert.deepStrictEqual(of(1), ids(messages.slice(0, 2)))
    assert.deepStrictEqual(of(2), [])
  }),
  "one who begins to listen later begins there, and takes nothing from others": Effect.gen(function*() {
    const { cursor, group, routeSome, storage } = yield* listened
    const early = yield* routeSome(2)
    const [later] = yield* storage.listen([group])
    if (!later) return yield* Effect.die("the group was not listened to")
    const late = yield* routeSome(1)
    assert.deepStrictEqual(heardIds(yield* storage.hear([later], 10)), ids(late))
    assert.deepStrictEqual(heardIds(yield* storage.hear([cursor], 10)), ids([...early, ...late]))
  }),
  "a message that is set aside is not heard until it is routed": Effect.gen(function*() {
    const { append, cursor, owner, route, storage } = yield* listened
    const messages = yield* append(1)
    yield* route(owner, messages, [], { error: "the transform threw" })
    assert.deepStrictEqual(yield* storage.hear([cursor], 10), [])
    for (const { id } of messages) yield* storage.retryMessage(id)
    yield* route(owner, messages, [])
    assert.deepStrictEqual(heardIds(yield* storage.hear([cursor], 10)), ids(messages))
  }),
  "what a superseded owner routes is not heard": Effect.gen(function*() {
    const { append, cursor, own, owner, route, storage } = yield* listened
    yield* own()
    yield* route(owner, yield* append(1), [])
    assert.deepStrictEqual(yield* storage.hear([cursor], 10), [])
  })
}
