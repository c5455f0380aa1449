/**
 * The problems that no endpoint declares, as the server answers them itself: around the endpoints, or where there is none.
 */

/**
 * A kind of problem: its `type` is `https://hookline.dev/problems/` and the name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kind {
  readonly name: string
  readonly status: number
  readonly title: string
}

/**
 * What the `type` of every problem begins with.
 *
 * @category constants
 * @since 0.1.0
 */
export const base = "https://hookline.dev/problems/"

/** @category constants @since 0.1.0 */
export const tooLarge = { name: "too-large", status: 413, title: "The body is too large" } as const

/** @category constants @since 0.1.0 */
export const unsupportedMediaType = {
  name: "unsupported-media-type",
  status: 415,
  title: "The body's type is not supported"
} as const

/** @category constants @since 0.1.0 */
export const noRoute = { name: "not-found", status: 404, title: "There is no such route" } as const

/** @category constants @since 0.1.0 */
export const methodNotAllowed = {
  name: "method-not-allowed",
  status: 405,
  title: "The route has no such method"
} as const

/** @category constants @since 0.1.0 */
export const cutOff = { name: "malformed-request", status: 400, title: "The request can't be read" } as const

/** @category constants @since 0.1.0 */
export const tooSlow = { name: "too-slow", status: 408, title: "The request took too long to come" } as const

/** @category constants @since 0.1.0 */
export const unexpected = {
  name: "expectation-failed",
  status: 417,
  title: "The request expects what there is not"
} as const

/** @category constants @since 0.1.0 */
export const headersTooLarge = {
  name: "headers-too-large",
  status: 431,
  title: "The request's headers are too large"
} as const

/** @category constants @since 0.1.0 */
export const notReady = { name: "not-ready", status: 503, title: "Not ready" } as const

/** @category constants @since 0.1.0 */
export const internal = { name: "internal", status: 500, title: "Hookline failed" } as const

/**
 * The problem's `type`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const typeOf = ({ name }: Kind): string => `${base}${name}`
