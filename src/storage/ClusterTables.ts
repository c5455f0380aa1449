/**
 * The tables of effect's cluster: which runners there are, and the locks of their shards. Effect brings its own migrations.
 */
import { Cause, Effect, Layer } from "effect"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"

/**
 * What the tables' names begin with; the locks are apart from those of a cluster of the user's own in the same database.
 *
 * @category constants
 * @since 0.1.0
 */
export const prefix = "hookline_cluster"

/**
 * Brings the tables up to date.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate = Effect.scoped(Layer.build(SqlRunnerStorage.layerMigrations({ prefix }))).pipe(
  Effect.catchCause((cause) => {
    const error = Cause.squash(cause)
    return Effect.fail(error instanceof Error ? error.message : String(error))
  })
)
