/**
 * What a provider's answer means. Plugins may be JavaScript: what they answer is looked at, and what makes no sense is the
 * provider's fault.
 */
import { Cause, Exit, Option, Predicate, Schema } from "effect"
import type * as Circuit from "../Circuit.ts"
import type * as Delivery from "../Delivery.ts"
import { type Delivered, ProviderError, RetryableError } from "../Provider.ts"

/** The outcome of an attempt; `ended` is what it is where it was ended from outside. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>, ended?: Delivery.Outcome): Delivery.Outcome => {
  if (Exit.isSuccess(exit)) {
    return isDelivered(exit.value)
      ? { _tag: "Delivered", delivered: exit.value }
      : defective("the provider's answer is not what a delivery answers")
  }
  if (Cause.hasInterruptsOnly(exit.cause)) return ended ?? defective("the provider interrupted its own attempt")
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return isProviderError(error) ? { _tag: "Failed", error } : defective(thrownMessage(Cause.squash(exit.cause)))
}

/** The outcome of an attempt whose time was over. */
export const tookTooLong = (timeoutMs: number): Delivery.Outcome => ({
  _tag: "Failed",
  error: new RetryableError({
    code: "Timeout",
    message: `The attempt took longer than ${timeoutMs} ms and was ended`,
    timedOut: true
  })
})

/** The words of what was thrown. */
export const thrownMessage = (thrown: unknown): string => thrown instanceof Error ? thrown.message : String(thrown)

/** Why a subscription could not be bound. */
export const unbound = (exit: Exit.Exit<unknown, { readonly message: string }>): string =>
  Exit.isSuccess(exit)
    ? ""
    : Option.getOrElse(Option.map(Cause.findErrorOption(exit.cause), (error) => error.message), () =>
      "binding was interrupted")

/** What an outcome says of the endpoint; nothing where the attempt was ended from here, or the provider is at fault. */
export const signOf = (outcome: Delivery.Outcome): Circuit.Sign | undefined =>
  outcome._tag === "Delivered"
    ? "accepted"
    : outcome._tag === "Interrupted"
    ? undefined
    : outcome.error._tag === "Retryable"
    ? "failed"
    : "refused"

// --- internal ---

/** As `Schema.is(Delivered)` would tell, which takes as long as all the rest of an outcome does. */
const isDelivered = (value: unknown): value is Delivered =>
  Predicate.isObject(value) && (!("statusCode" in value) || Number.isSafeInteger(value["statusCode"])) &&
  (!("externalId" in value) || typeof value["externalId"] === "string") &&
  (!("response" in value) || isExcerpt(value["response"]))

const isExcerpt = (value: unknown): boolean => {
  if (!Predicate.isObject(value) || typeof value["body"] !== "string") return false
  const { headers } = value
  if (!Predicate.isObject(headers)) return false
  for (const name in headers) if (typeof headers[name] !== "string") return false
  return true
}

const isProviderError = Schema.is(ProviderError)

/** It may be mended while the schedule runs. */
const defective = (message: string): Delivery.Outcome => ({
  _tag: "Failed",
  error: new RetryableError({ code: "ProviderDefect", message })
})
