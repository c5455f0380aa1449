/**
 * The storage's contract on the traces of messages: what is given with a message is there wherever it is read.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type Cases, make, only, routed } from "./StorageSuiteWorld.ts"

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/** @category constants @since 0.1.0 */
export const tracing: Cases = {
  "a message comes to the router with its trace, one without has none": Effect.gen(function*() {
    const { message, own, storage } = yield* make
    const traced = yield* message({ traceparent })
    const plain = yield* message()
    yield* storage.append([traced, plain])
    const { owner } = yield* own()
    const found = (yield* storage.unrouted([owner], { messages: 10, bytes: 1e6 })).messages
    assert.deepStrictEqual(found.map(({ id, traceparent }) => [id, traceparent]), [
      [traced.id, traceparent],
      [plain.id, undefined]
    ])
    assert.notProperty(found[1], "traceparent")
  }),
  "an attempt loads its message with its trace": Effect.gen(function*() {
    const { messages, storage } = yield* routed(1, { message: { traceparent } })
    const { id: messageId } = yield* only(messages)
    const loaded = yield* storage.load([{ messageId }])
    assert.strictEqual((yield* only(loaded.messages)).traceparent, traceparent)
  }),
  "a message is read with its trace, also where it was stored with a key or in a batch": Effect.gen(function*() {
    const { eventId, message, storage } = yield* make
    const keyed = yield* message({ traceparent })
    yield* storage.appendOnce(keyed, { key: eventId, contentHash: "a", ttlMs: 60_000 })
    const batched = yield* message({ traceparent })
    yield* storage.appendBatch([{ message: yield* message() }, { message: batched }])
    for (const { id } of [keyed, batched]) {
      assert.strictEqual((yield* Effect.fromOption(yield* storage.getMessage(id))).traceparent, traceparent)
    }
  })
}
