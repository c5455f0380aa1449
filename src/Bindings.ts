/**
 * From a stored subscription to what its attempts use: the configuration opened, decoded and bound to its provider, the
 * signing secrets opened.
 */
import { Context, Effect, Layer, type Redacted, Schema } from "effect"
import type { Connection } from "./Connection.ts"
import { ConfigRefused, type Provided } from "./Provider.ts"
import { type RegisteredProvider, Registry } from "./Registry.ts"
import type * as RetrySchedule from "./RetrySchedule.ts"
import * as SealedConfig from "./SealedConfig.ts"
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
  readonly bound: Provided
  /** The bound provider's, read once. */
  readonly origin: string | undefined
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
  /** Binds a subscription, with the connection that it names where it names one. */
  readonly bind: (
    subscription: Subscription,
    connection?: Connection | undefined
  ) => Effect.Effect<Binding, BindingError>
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
    const credentials = Effect.fnUntraced(function*(
      provider: RegisteredProvider,
      { connectionId, tenantId }: Subscription,
      connection: Connection | undefined
    ) {
      // A provider may have got connections after it was subscribed: it asks for one then.
      if (!provider.connection || connectionId === undefined) return {}
      const isOwn = connection?.id === connectionId && connection.tenantId === tenantId &&
        connection.providerId === provider.providerId
      if (!isOwn) {
        return yield* new ConfigRefused({ path: "connectionId", message: `There is no connection "${connectionId}"` })
      }
      return { connection: yield* SealedConfig.open(secrets, provider.connection.schema, connection) }
    })
    return Bindings.of({
      bind: Effect.fnUntraced(function*(subscription, connection) {
        const provider = yield* registry.provider(subscription.providerId)
        if (!provider) {
          return yield* new ProviderMissing({
            providerId: subscription.providerId,
            message: `This runner has no provider "${subscription.providerId}".`
          })
        }
        const config = yield* SealedConfig.open(secrets, provider.config, subscription)
        const bound = yield* provider.bind(config, yield* credentials(provider, subscription, connection))
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
          origin: bound.origin,
          // A copy has room for no more than it holds.
          signingSecrets: [...signingSecrets],
          providerRetry: provider.retry
        }
      })
    })
  })
)
