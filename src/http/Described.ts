/**
 * What the API's description says of an endpoint besides what follows from its schemas: beside the endpoint, so that a route
 * and its words come together.
 */
import { Context, type Schema } from "effect"
import { OpenApi } from "effect/http-api"

/**
 * Examples of an endpoint, and whether its answer has a version.
 *
 * @category models
 * @since 0.1.0
 */
export interface Extras {
  /** A request's body. */
  readonly request?: Schema.Json
  /** The body of the first answer that is none of the problems. */
  readonly answer?: Schema.Json
  /** The bodies by the answers' status, where they differ. */
  readonly answers?: { readonly [status: string]: Schema.Json }
  /** The answer tells the resource's version as `ETag`. */
  readonly versioned?: boolean
}

/**
 * The annotation with the extras of an endpoint.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Extras = Context.Reference<Extras>("hookline/http/Extras", { defaultValue: () => ({}) })

/**
 * The annotations of an endpoint: what it does in a few words, then in a sentence or two, with examples.
 *
 * @category annotations
 * @since 0.1.0
 */
export const described = (
  { description, summary, ...extras }: Extras & { readonly summary: string; readonly description: string }
): Context.Context<never> => Context.merge(OpenApi.annotations({ summary, description }), Context.make(Extras, extras))
