/**
 * The endpoint of a runner's measurements.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Readings from "../Readings.ts"
import { Api } from "./Api.ts"
import * as Exposition from "./Exposition.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "metrics",
  Effect.fnUntraced(function*(handlers) {
    const read = yield* Readings.make
    return handlers.handle("read", () => Effect.andThen(read, Exposition.text))
  })
)
