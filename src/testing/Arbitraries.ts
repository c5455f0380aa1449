/**
 * Arbitrary values for property tests, derived from what a program has declared already.
 */
import { Arbitrary, Schema } from "effect"
import type { Hook } from "../Hook.ts"
import { defaults } from "../Limits.ts"
import * as Endpoints from "./Endpoints.ts"

/**
 * Payloads of a hook, as its schema allows them, but for those whose ordering key is too long or no text that a database holds.
 *
 * **Gotchas**
 *
 * Where a schema allows an empty ordering key, it comes, and the emit is refused: let the schema say `NonEmptyString`.
 * Throws where nothing can be derived of the schema, as of a declaration without an arbitrary of its own.
 *
 * **Example**
 *
 * ```ts
 * it.effect.prop("is delivered", { payload: Arbitraries.payload(IncidentCreated) }, ({ payload }) =>
 *   Effect.gen(function*() {
 *     yield* HooklineTest.subscribe({ events: ["incident.*"], url: "https://example.com/hook" })
 *     const id = yield* Hook.emit(IncidentCreated, payload)
 *     yield* Deliveries.settled
 *     const [delivery] = yield* Deliveries.of(id)
 *     assert.strictEqual(delivery?.status, "success")
 *   }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const payload = <A>(hook: Hook<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.filter(Arbitrary.schema(hook.payload), (value) => {
    const key = hook.orderingKey?.(value)
    return key === undefined || (key.length <= defaults.keyLength && !key.includes("\0") && key.isWellFormed())
  })

/**
 * Scripts of endpoints that fail in ways that are retried, up to `failures` times, and then accept.
 *
 * @category constructors
 * @since 0.1.0
 */
export const script = (options: { readonly failures: number }): Arbitrary.Arbitrary<Endpoints.Script> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(failures)), { maxLength: options.failures }),
    (kinds): Endpoints.Script => [...kinds.map(failureOf), 200]
  )

// --- internal ---

// The simplest first: shrinking goes that way.
const failures = [500, 503, 429, 408, "refuses", "breaks", "hangs"] as const

const failureOf = (failure: typeof failures[number]): Endpoints.Scripted => {
  switch (failure) {
    case "refuses":
      return Endpoints.refuses()
    case "breaks":
      return Endpoints.breaks()
    case "hangs":
      return Endpoints.hangs
    default:
      return failure
  }
}
