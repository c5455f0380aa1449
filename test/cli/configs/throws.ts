/**
 * A plugin of a test that throws while it is built.
 */
import { Effect, Layer } from "effect"

export default Layer.effectDiscard(Effect.sync(() => {
  throw new Error("no connection to the incident database")
}))
