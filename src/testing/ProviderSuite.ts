/**
 * The conformance suite of providers: whose fault a failure is, whether trying again can help, what never gets out. One that
 * passes keeps the promises that retry schedules, lanes and the log of attempts build on.
 */
import { describe, it } from "@effect/vitest"
import type { Layer, Schema } from "effect"
import type { Egress } from "../Egress.ts"
import type * as Provider from "../Provider.ts"
import * as Endpoints from "./Endpoints.ts"
import { casesOf } from "./ProviderSuiteCases.ts"

// -- models

/**
 * What the other system answers, by what it means.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answers {
  readonly success: Endpoints.Script
  /** It may pass: an overload, a fault of its own. */
  readonly retryable: Endpoints.Script
  /** The message is refused for good. */
  readonly permanent: Endpoints.Script
  /** The endpoint is gone for good; false where the provider can't know. */
  readonly gone: Endpoints.Script | false
  /** It asks to wait for some seconds; false where the provider can't know. */
  readonly retryAfter: ((seconds: number) => Endpoints.Script) | false
}

/**
 * A provider under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Harness<R> {
  readonly provider: Provider.Provider<R | Egress>
  /** What the provider needs besides the door to the outside; `Layer.empty` where that is nothing. */
  readonly layer: Layer.Layer<R, unknown, Egress>
  /** A configuration that is accepted, with every secret that it may hold. */
  readonly validConfig: { readonly [name: string]: Schema.Json }
  /** A connection that is accepted, with every secret that it may hold; where the provider has connections. */
  readonly validConnection?: { readonly [name: string]: Schema.Json }
  /** Configurations that are refused, each with the path of the field at fault. */
  readonly refusedConfigs: ReadonlyArray<{
    readonly config: { readonly [name: string]: Schema.Json }
    readonly path: string
  }>
  /** `http` when left out. */
  readonly answers?: Answers
  /** A payload that the configuration is made for. */
  readonly payload?: Schema.Json
}

// -- constructors

/**
 * The answers of a system that speaks in HTTP's statuses.
 *
 * @category constants
 * @since 0.1.0
 */
export const http: Answers = {
  success: [200],
  retryable: [503],
  permanent: [400],
  gone: [410],
  retryAfter: (seconds) => [Endpoints.reply(429, { headers: { "retry-after": String(seconds) } })]
}

/**
 * Registers the suite with vitest.
 *
 * **Example**
 *
 * ```ts
 * ProviderSuite.suite("the chat provider", {
 *   provider: Chat.provider,
 *   layer: Layer.empty,
 *   validConfig: { url: "https://chat.example.com/hook", token: "a-token-that-is-secret" },
 *   refusedConfigs: [{ config: {}, path: "config.url" }],
 *   answers: { ...ProviderSuite.http, gone: [Endpoints.reply(200, { body: { error: "no_such_channel" } })] }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <R>(name: string, harness: Harness<R>): void =>
  void describe(`${name}`, () => {
    const cases = casesOf({ ...harness, answers: harness.answers ?? http })
    for (const [sentence, proof] of Object.entries(cases)) it.effect(sentence, () => proof)
  })
