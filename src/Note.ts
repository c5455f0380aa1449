/**
 * What becomes known of an attempt while it is made, also of one that fails or is cut off. Whoever makes an attempt provides a
 * place for it: the door to the outside notes where the time goes, and a provider what it sends.
 */
import { Context, Effect, type Fiber } from "effect"
import type { Phases } from "./Phases.ts"
import type { RequestExcerpt } from "./RequestExcerpt.ts"

/**
 * A place to note it in; of several requests the last one counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Note {
  phases: Phases | undefined
  request: Required<RequestExcerpt> | undefined
}

/**
 * Where the present fiber notes it; nowhere unless it is provided.
 *
 * @category services
 * @since 0.1.0
 */
export const Note = Context.Reference<Note | undefined>("hookline/Note", { defaultValue: () => undefined })

/**
 * A place where nothing is noted yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Note => ({ ...blank })

/**
 * Notes the request that is sent next, and goes on in the same step, as every attempt does.
 *
 * @category combinators
 * @since 0.1.0
 */
export const request = <A, E, R>(
  request: Required<RequestExcerpt>,
  then: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
    const note = fiber.getRef(Note)
    if (note) note.request = request
    return then()
  })

// --- internal ---

const blank: Note = { phases: undefined, request: undefined }
