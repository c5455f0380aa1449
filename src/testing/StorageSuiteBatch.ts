/**
 * The storage's contract on batches: all or none, in order, each key once.
 */
import { assert } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import type { BatchItem } from "../Storage.ts"
import { type Cases, make } from "./StorageSuiteWorld.ts"

const once = (key: string, contentHash = "a"): NonNullable<BatchItem["once"]> => ({ key, contentHash, ttlMs: 60_000 })

/** A world with a few messages, which of them are stored, and in which order. */
const batch = (count: number) =>
  Effect.gen(function*() {
    const world = yield* make
    const messages = yield* Effect.replicateEffect(world.message(), count)
    const items = messages.map((message): BatchItem => ({ message }))
    const stored = Effect.gen(function*() {
      const { owner } = yield* world.own()
      const found = (yield* world.storage.unrouted([owner], { messages: 100, bytes: 1e9 })).messages
      return found.map(({ id }) => messages.findIndex((message) => message.id === id))
    })
    const appended = (ofs: ReadonlyArray<number>, isNew: ReadonlyArray<boolean> = ofs.map(() => true)) => ({
      _tag: "Appended" as const,
      items: ofs.map((of, n) => ({
        messageId: messages[of]?.id ?? assert.fail("it was made"),
        workerGroup: isNew[n] === true ? `integration.${world.eventId}` : undefined
      }))
    })
    return { ...world, messages, items, stored, appended }
  })

/** @category constants @since 0.1.0 */
export const batches: Cases = {
  "a batch is stored in its order, with keys and without": Effect.gen(function*() {
    const { appended, items, storage, stored } = yield* batch(4)
    const keyed = items.map((item, n) => n % 2 === 0 ? item : { ...item, once: once(`k${9 - n}`) })
    assert.deepStrictEqual(yield* storage.appendBatch(keyed), appended([0, 1, 2, 3]))
    assert.deepStrictEqual(yield* stored, [0, 1, 2, 3])
  }),
  "a key that is repeated, in a batch or after it, gives the first message's id": Effect.gen(function*() {
    const { appended, items: [a, b, c, d, e], storage, stored } = yield* batch(5)
    if (!a || !b || !c || !d || !e) return yield* Effect.die("five were made")
    const [k, l] = [{ once: once("k") }, { once: once("l") }]
    assert.deepStrictEqual(
      yield* storage.appendBatch([{ ...a, ...k }, b, { ...c, ...k }]),
      appended([0, 1, 0], [true, true, false])
    )
    assert.deepStrictEqual(
      yield* storage.appendBatch([{ ...d, ...k }, { ...e, ...l }]),
      appended([0, 4], [false, true])
    )
    assert.deepStrictEqual(yield* storage.appendOnce(d.message, l.once), { _tag: "Repeated", messageId: e.message.id })
    assert.deepStrictEqual(yield* stored, [0, 1, 4])
  }),
  "a key with other content, in a batch or before it, keeps all of the batch from being stored": Effect.gen(
    function*() {
      const { items: [a, b, c, d], storage, stored } = yield* batch(4)
      if (!a || !b || !c || !d) return yield* Effect.die("four were made")
      yield* storage.appendOnce(a.message, once("k"))
      assert.deepStrictEqual(
        yield* storage.appendBatch([b, { ...c, once: once("l") }, { ...d, once: once("k", "b") }]),
        { _tag: "Conflict", index: 2, messageId: a.message.id }
      )
      assert.deepStrictEqual(
        yield* storage.appendBatch([{ ...b, once: once("m") }, { ...c, once: once("m", "b") }]),
        { _tag: "Conflict", index: 1, messageId: b.message.id }
      )
      assert.deepStrictEqual(yield* stored, [0])
      // Nor were the keys taken.
      assert.strictEqual((yield* storage.appendOnce(d.message, once("l", "c")))._tag, "Appended")
    }
  ),
  "a batch with a message that is stored already is refused whole": Effect.gen(function*() {
    const { items: [a, b, c], storage, stored } = yield* batch(3)
    if (!a || !b || !c) return yield* Effect.die("three were made")
    yield* storage.append([a.message])
    for (const items of [[b, a], [{ ...b, once: once("k") }, { ...a, once: once("l") }]]) {
      assert.strictEqual((yield* Effect.flip(storage.appendBatch(items)))._tag, "RowRefused")
    }
    assert.deepStrictEqual(yield* stored, [0])
    assert.strictEqual((yield* storage.appendOnce(c.message, once("k", "b")))._tag, "Appended")
  }),
  "a batch is part of the caller's transaction; one that is not stored undoes itself alone": Effect.gen(function*() {
    const { appended, backend, items: [a, b, c, d], storage, stored } = yield* batch(4)
    if (!a || !b || !c || !d) return yield* Effect.die("four were made")
    const rolledBack = yield* Effect.exit(backend.transact(Effect.gen(function*() {
      assert.deepStrictEqual(yield* storage.appendBatch([{ ...a, once: once("k") }, b]), appended([0, 1]))
      return yield* Effect.fail("changed my mind")
    })))
    assert.isTrue(Exit.isFailure(rolledBack))
    assert.deepStrictEqual(yield* storage.getMessage(a.message.id), Option.none())
    yield* backend.transact(Effect.gen(function*() {
      yield* storage.append([c.message])
      yield* storage.appendOnce(d.message, once("k"))
      const conflict = yield* storage.appendBatch([a, { ...b, once: once("k", "b") }])
      assert.deepStrictEqual(conflict, { _tag: "Conflict", index: 1, messageId: d.message.id })
    }))
    assert.deepStrictEqual(yield* stored, [2, 3])
  }),
  "batches at once that share keys in any order store each key once": Effect.gen(function*() {
    const { items, storage, stored } = yield* batch(20)
    const keyed = items.map((item, n) => ({ ...item, once: once(`k${n % 10}`) }))
    const answers = yield* Effect.all([
      storage.appendBatch(keyed.slice(0, 10)),
      storage.appendBatch(keyed.slice(10).toReversed())
    ], { concurrency: 2 })
    const ids = answers.map((answer) =>
      answer._tag === "Appended" ? answer.items.map(({ messageId }) => messageId) : []
    )
    assert.deepStrictEqual(ids[0], ids[1]?.toReversed())
    assert.strictEqual((yield* stored).length, 10)
  })
}
