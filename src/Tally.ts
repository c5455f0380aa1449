/**
 * What is counted of deliveries: how those ended that ended within some time, and the attempts that were made in it.
 */

/** @category models @since 0.1.0 */
export interface Tally {
  /** Deliveries that ended so. */
  readonly success: number
  readonly failed: number
  readonly cancelled: number
  readonly attempts: number
}

/** @category constants @since 0.1.0 */
export const none: Tally = { success: 0, failed: 0, cancelled: 0, attempts: 0 }

/**
 * Adds what was counted apart.
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = (self: Tally, that: Tally): Tally => ({
  success: self.success + that.success,
  failed: self.failed + that.failed,
  cancelled: self.cancelled + that.cancelled,
  attempts: self.attempts + that.attempts
})

/**
 * How many deliveries ended.
 *
 * @category accessors
 * @since 0.1.0
 */
export const deliveries = (self: Tally): number => self.success + self.failed + self.cancelled

/**
 * Whether nothing is counted.
 *
 * @category guards
 * @since 0.1.0
 */
export const isNone = (self: Tally): boolean =>
  self.success === 0 && self.failed === 0 && self.cancelled === 0 && self.attempts === 0

/**
 * Orders by volume: most deliveries first, then most attempts.
 *
 * @category ordering
 * @since 0.1.0
 */
export const byVolume = (a: Tally, b: Tally): number => deliveries(b) - deliveries(a) || b.attempts - a.attempts
