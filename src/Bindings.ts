/**
 * From a stored subscription to what its attempts use: the configuration opened, decoded and bound to its provider, the
 * signing secrets opened.
 */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import type { Bound, ConfigRefused } from "./Provider.ts"
import { Registry } from "./Registry.ts"
import type * as RetrySchedule from "./RetrySchedule.ts"
import * as SecretFields from "./SecretFields.ts"
import * as Secrets from "./Secrets.ts"
import type { Subscription } from "./Subscription.ts"

/**
 * This runtime lacks the code of a subscription's provider.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderMissing extends Schema.TaggedError<ProviderMissing>()("ProviderMissing", {
  providerId: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export type BindingError = ProviderMissing | Secrets.UnsealError | ConfigRefused

/** @category models @since 0.1.0 */
export interface Binding {
  readonly bound: Bound<never>
  /** Newest first. */
  readonly signingSecrets: ReadonlyArray<{
    readonly secret: Redacted.Redacted<string>
    readonly expiresAtMs: number | undefined
  }>
  /** The provider's, where it has one. */
  readonly providerRetry: RetrySchedule.RetrySchedule | undefined
}

/**
 * Binding.
 *
 * @category services
 * @since 0.1.0
 */
export class Bindings extends Context.Service<Bindings, {
  readonly bind: (subscription: Subscription) => Effect.Effect<Binding, BindingError>
}>()("hookline/Bindings") {}

/**
 * Layer of the bindings, by the registry's providers and the master key.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Bindings, never, Registry | Secrets.Secrets> = Layer.effect(
  Bindings,
  Effect.gen(function*() {
    const registry = yield* Registry
    const secrets = yield* Secrets.Secrets
    return Bindings.of({
      bind: Effect.fnUntraced(function*(subscription) {
        const provider = yield* registry.provider(subscription.providerId)
        if (!provider) {
          return yield* new ProviderMissing({
            providerId: subscription.providerId,
            message: `This runner has no provider "${subscription.providerId}".`
          })
        }
        const config = yield* SecretFields.map(
          provider.config,
          subscription.config,
          (sealed) => Effect.map(secrets.open(sealed, subscription.id), Redacted.value)
        )
        const bound = yield* provider.bind(config)
        const signingSecrets = yield* Effect.forEach(
          subscription.signingSecrets,
          (secret) =>
            Effect.map(secrets.open(secret.sealed, subscription.id), (opened) => ({
              secret: opened,
              expiresAtMs: secret.expiresAtMs
            }))
        )
        return {
          bound,
          signingSecrets,
          providerRetry: provider.retry
        }
      })
    })
  })
)
