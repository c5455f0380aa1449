/**
 * The storage's contract on emitting: appends, idempotency keys, transactions.
 */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option } from "effect"
import type { RunnerId } from "../Id.ts"
import { workerGroup } from "../Message.ts"
import { appended, type Cases, make, only } from "./StorageSuiteWorld.ts"

const once = { contentHash: "a", ttlMs: 60_000 }

/** @category constants @since 0.1.0 */
export const emitting: Cases = {
  "appended messages wait to be routed, in the order they were appended, as and where they were appended": Effect.gen(
    function*() {
      const { append, eventId, message, own, storage } = yield* make
      const first = yield* append(2)
      const second = yield* message({ orderingKey: "k", payloadJson: `{"a":"ä\\u0000"}` })
      const [placed] = yield* storage.append([second])
      const { owner } = yield* own()
      const found = (yield* storage.unrouted([owner], { messages: 10, bytes: 1000 })).messages
      assert.deepStrictEqual(
        found,
        [...first, second].map((appended, i) => ({
          ...appended,
          seq: found[i]?.seq ?? 0,
          workerGroup: `integration.${eventId}`
        }))
      )
      assert.strictEqual(found[2]?.workerGroup, placed?.workerGroup)
      const seqs = found.map((unrouted) => unrouted.seq)
      assert.deepStrictEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b))
    }
  ),
  "an append tells of its messages what their owner would read: their numbers, and the version of the subscriptions":
    Effect.gen(
      function*() {
        const { message, own, storage, subscription } = yield* make
        const messages = [yield* message(), yield* message()]
        const version = yield* storage.createSubscription(yield* subscription())
        const placed = yield* storage.append(messages)
        const { owner } = yield* own()
        const found = yield* storage.unrouted([owner], { messages: 10, bytes: 1000 })
        assert.deepStrictEqual(placed.map(({ seq }) => seq), found.messages.map(({ seq }) => seq))
        for (const one of placed) {
          assert.isAtLeast(one.version, version)
          assert.isAtMost(one.version, found.version)
        }
      }
    ),
  "an append tells whether somebody listens to an event, whichever dispatcher partition its messages go to": Effect.gen(
    function*() {
      const { eventId, message, storage } = yield* make
      const isListened = Effect.flatMap(
        message({ orderingKey: "k" }),
        (one) => Effect.map(storage.append([one]), ([placed]) => placed?.isListened)
      )
      assert.isFalse(yield* isListened)
      yield* storage.listen([workerGroup(eventId)])
      assert.isTrue(yield* isListened)
      yield* storage.setPartitions(eventId, 4)
      assert.isTrue(yield* isListened)
    }
  ),
  "an append tells a runner of its epoch where it owns the group, and no other": Effect.gen(function*() {
    const { backend, message, own, storage } = yield* make
    const epochFor = (runnerId?: RunnerId) =>
      Effect.flatMap(message(), (one) => Effect.map(storage.append([one], runnerId), ([placed]) => placed?.epoch))
    const first = yield* own()
    assert.strictEqual(yield* epochFor(first.runnerId), first.owner.epoch)
    assert.isUndefined(yield* epochFor())
    assert.isUndefined(yield* backend.transact(epochFor(first.runnerId)))
    const second = yield* own()
    assert.isUndefined(yield* epochFor(first.runnerId))
    assert.strictEqual(yield* epochFor(second.runnerId), second.owner.epoch)
    yield* storage.giveBack([second.owner])
    assert.isUndefined(yield* epochFor(second.runnerId))
  }),
  "an append stores all of its messages or none": Effect.gen(function*() {
    const { append1, message, storage } = yield* make
    const stored = yield* append1()
    const fresh = yield* message()
    const error = yield* Effect.flip(storage.append([fresh, { ...stored, payloadJson: "[]" }]))
    assert.strictEqual(error._tag, "RowRefused")
    assert.deepStrictEqual(yield* storage.getMessage(fresh.id), Option.none())
    assert.strictEqual((yield* Effect.fromOption(yield* storage.getMessage(stored.id))).payloadJson, "{}")
  }),
  "a key that was used answers with the first message: repeated where the content is the same, else a conflict": Effect
    .gen(function*() {
      const { message, storage, tenantId } = yield* make
      const [first, second] = [yield* message(), yield* message()]
      assert.deepStrictEqual(yield* storage.appendOnce(first, { ...once, key: "k" }), appended(first))
      const repeated = yield* storage.appendOnce(second, { ...once, key: "k" })
      assert.deepStrictEqual(repeated, { _tag: "Repeated", messageId: first.id })
      const conflict = yield* storage.appendOnce(second, { ...once, key: "k", contentHash: "b" })
      assert.deepStrictEqual(conflict, { _tag: "Conflict", messageId: first.id })
      const { items: stored } = yield* storage.listMessages({ tenantId }, { cursor: undefined, limit: 10, bytes: 1e9 })
      assert.deepStrictEqual(stored.map((found) => found.id), [first.id])
    }),
  "tells which keys belong to a message": Effect.gen(function*() {
    const { backend, message, storage, tenantId } = yield* make
    yield* storage.appendOnce(yield* message(), { ...once, key: "k" })
    yield* storage.appendOnce(yield* message(), { ...once, key: "over", ttlMs: 1 })
    yield* backend.advance(5)
    const keys = [{ tenantId, key: "none" }, { tenantId, key: "k" }, { tenantId: `${tenantId}x`, key: "k" }]
    assert.deepStrictEqual(yield* storage.usedKeys([...keys, { tenantId, key: "over" }]), [false, true, false, false])
    yield* backend.transact(Effect.gen(function*() {
      yield* storage.appendOnce(yield* message(), { ...once, key: "none" })
      assert.deepStrictEqual(yield* storage.usedKeys(keys.slice(0, 1)), [true])
    }))
  }),
  "a key is its tenant's own": Effect.gen(function*() {
    const { message, storage, tenantId } = yield* make
    const other = yield* message({ tenantId: `${tenantId}x` })
    yield* storage.appendOnce(yield* message(), { ...once, key: "k" })
    assert.deepStrictEqual(yield* storage.appendOnce(other, { ...once, key: "k" }), appended(other))
  }),
  "a key is free again after its time": Effect.gen(function*() {
    const { backend, message, storage } = yield* make
    yield* storage.appendOnce(yield* message(), { ...once, key: "k", ttlMs: 1 })
    yield* backend.advance(5)
    const second = yield* message()
    assert.deepStrictEqual(yield* storage.appendOnce(second, { ...once, key: "k" }), appended(second))
    const repeated = yield* storage.appendOnce(yield* message(), { ...once, key: "k" })
    assert.deepStrictEqual(repeated, { _tag: "Repeated", messageId: second.id })
  }),
  "of concurrent appends with one key, one stores its message and the others hear of it": Effect.gen(function*() {
    const { message, storage } = yield* make
    const messages = yield* Effect.replicateEffect(message(), 8)
    const answers = yield* Effect.forEach(
      messages,
      (one) => Effect.map(storage.appendOnce(one, { ...once, key: "k" }), (answer) => ({ id: one.id, answer })),
      {
        concurrency: "unbounded"
      }
    )
    const winner = yield* only(answers.filter(({ answer }) => answer._tag === "Appended"))
    for (const { answer, id } of answers) {
      if (id !== winner.id) assert.deepStrictEqual(answer, { _tag: "Repeated", messageId: winner.id })
    }
  }),
  "what is appended in a transaction, by its children too, is seen when it commits, and not before": Effect.gen(
    function*() {
      const { backend, message, own, storage } = yield* make
      const { owner } = yield* own()
      const unrouted = Effect.map(
        storage.unrouted([owner], { messages: 10, bytes: 1000 }),
        (found) => found.messages.map((one) => one.id)
      )
      const [first, second] = [yield* message(), yield* message()]
      yield* backend.transact(Effect.gen(function*() {
        yield* storage.append([first])
        yield* Fiber.join(yield* Effect.forkChild(storage.appendOnce(second, { ...once, key: "k" })))
        // Another fiber looks from outside.
        assert.deepStrictEqual(yield* unrouted, [])
      }))
      assert.deepStrictEqual(yield* unrouted, [first.id, second.id])
    }
  ),
  "a fiber knows whether it is in a transaction": Effect.gen(function*() {
    const { backend, storage } = yield* make
    assert.isFalse(yield* storage.inTransaction)
    yield* backend.transact(Effect.gen(function*() {
      assert.isTrue(yield* storage.inTransaction)
      assert.isTrue(yield* Fiber.join(yield* Effect.forkChild(storage.inTransaction)))
    }))
    assert.isFalse(yield* storage.inTransaction)
  }),
  "a transaction that fails leaves neither messages nor keys": Effect.gen(function*() {
    const { backend, message, storage } = yield* make
    const [first, second] = [yield* message(), yield* message()]
    const failed = yield* Effect.flip(backend.transact(Effect.gen(function*() {
      yield* storage.append([first])
      yield* storage.appendOnce(second, { ...once, key: "k" })
      return yield* Effect.fail("no")
    })))
    assert.strictEqual(failed, "no")
    assert.deepStrictEqual(yield* storage.getMessage(first.id), Option.none())
    assert.deepStrictEqual(yield* storage.getMessage(second.id), Option.none())
    assert.deepStrictEqual(yield* storage.appendOnce(second, { ...once, key: "k" }), appended(second))
  }),
  "a transaction that is interrupted leaves nothing": Effect.gen(function*() {
    const { append1, backend, storage } = yield* make
    const appended = yield* Deferred.make<Parameters<typeof storage.getMessage>[0]>()
    const fiber = yield* Effect.forkChild(backend.transact(Effect.gen(function*() {
      yield* Deferred.succeed(appended, (yield* append1()).id)
      yield* Effect.never
    })))
    const id = yield* Deferred.await(appended)
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(yield* storage.getMessage(id), Option.none())
  }),
  "a transaction inside another is undone by itself": Effect.gen(function*() {
    const { backend, message, storage } = yield* make
    const [before, inner, after] = [yield* message(), yield* message(), yield* message()]
    yield* backend.transact(Effect.gen(function*() {
      yield* storage.append([before])
      yield* Effect.flip(backend.transact(Effect.andThen(
        storage.appendOnce(inner, { ...once, key: "k" }),
        Effect.fail("no")
      )))
      assert.deepStrictEqual(yield* storage.appendOnce(after, { ...once, key: "k" }), appended(after))
    }))
    assert.isTrue(Option.isSome(yield* storage.getMessage(before.id)))
    assert.isTrue(Option.isNone(yield* storage.getMessage(inner.id)))
    assert.isTrue(Option.isSome(yield* storage.getMessage(after.id)))
  }),
  "a transaction inside another commits with it, not before": Effect.gen(function*() {
    const { append1, backend, storage } = yield* make
    const id = yield* Effect.flip(backend.transact(Effect.gen(function*() {
      const message = yield* Effect.orDie(backend.transact(append1()))
      return yield* Effect.fail(message.id)
    })))
    assert.isString(id)
    const kept = yield* backend.transact(backend.transact(append1()))
    assert.isTrue(Option.isSome(yield* storage.getMessage(kept.id)))
    const { items: tenant } = yield* storage.listMessages({ tenantId: kept.tenantId }, {
      cursor: undefined,
      limit: 10,
      bytes: 1e9
    })
    assert.deepStrictEqual(tenant.map((found) => found.id), [kept.id])
  }),
  "a key taken twice in one transaction is repeated": Effect.gen(function*() {
    const { backend, message, storage } = yield* make
    const first = yield* message()
    const answer = yield* backend.transact(Effect.andThen(
      storage.appendOnce(first, { ...once, key: "k" }),
      Effect.flatMap(message(), (second) => storage.appendOnce(second, { ...once, key: "k" }))
    ))
    assert.deepStrictEqual(answer, { _tag: "Repeated", messageId: first.id })
  }),
  "a key that another transaction has taken is answered when that one ends: repeated if it commits, else free": Effect
    .gen(function*() {
      const { backend, message, storage } = yield* make
      for (const commits of [true, false]) {
        const [first, second] = [yield* message(), yield* message()]
        const options = { ...once, key: `k${commits}` }
        const taken = yield* Deferred.make<void>()
        const end = yield* Deferred.make<void, string>()
        const holder = yield* Effect.forkChild(Effect.exit(backend.transact(Effect.gen(function*() {
          yield* storage.appendOnce(first, options)
          yield* Deferred.succeed(taken, undefined)
          yield* Deferred.await(end)
        }))))
        yield* Deferred.await(taken)
        const asking = yield* Effect.forkChild(storage.appendOnce(second, options), { startImmediately: true })
        yield* commits ? Deferred.succeed(end, undefined) : Deferred.fail(end, "no")
        yield* Fiber.join(holder)
        const answer = yield* Fiber.join(asking)
        assert.deepStrictEqual(answer, commits ? { _tag: "Repeated", messageId: first.id } : appended(first))
      }
    }),
  "what is to run after the commit runs at once outside of a transaction, in order after a commit, never after a rollback":
    Effect.gen(function*() {
      const { append1, backend, storage } = yield* make
      const heard: Array<string> = []
      const say = (word: string) => storage.afterCommit(Effect.sync(() => void heard.push(word)))
      yield* say("outside")
      assert.deepStrictEqual(heard.splice(0), ["outside"])
      const appended = yield* backend.transact(Effect.gen(function*() {
        const message = yield* append1()
        yield* say("first")
        yield* Effect.ignore(backend.transact(Effect.andThen(say("undone"), Effect.fail("no"))))
        yield* backend.transact(say("inner"))
        yield* storage.afterCommit(Effect.gen(function*() {
          heard.push(Option.isSome(yield* Effect.orDie(storage.getMessage(message.id))) ? "stored" : "missing")
          heard.push((yield* storage.inTransaction) ? "inside" : "outside")
        }))
        assert.deepStrictEqual(heard, [])
        return message
      }))
      assert.isString(appended.id)
      assert.deepStrictEqual(heard.splice(0), ["first", "inner", "stored", "outside"])
      yield* Effect.ignore(backend.transact(Effect.andThen(say("lost"), Effect.fail("no"))))
      assert.deepStrictEqual(heard, [])
    }),
  "an effect after the commit that dies does not keep the others from running": Effect.gen(function*() {
    const { backend, storage } = yield* make
    const heard: Array<string> = []
    yield* backend.transact(Effect.andThen(
      storage.afterCommit(Effect.die("broken")),
      storage.afterCommit(Effect.sync(() => void heard.push("second")))
    ))
    assert.deepStrictEqual(heard, ["second"])
  })
}
