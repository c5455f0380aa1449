/**
 * A webhook's body and the headers that go with it: Standard Webhooks', the seed's, CloudEvents 1.0 or a template's.
 */
import { Effect } from "effect"
import type { Attempt, ConfigRefused } from "../../Provider.ts"
import { refused, type WebhookConfig } from "./WebhookConfig.ts"

/** @category models @since 0.1.0 */
export interface WebhookBody {
  readonly contentType: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly text: string
}

/**
 * Makes the body of an attempt, from what the body's template gave for it where there is one.
 *
 * @category models
 * @since 0.1.0
 */
export type BodyOf = (attempt: Attempt, rendered: string | undefined) => WebhookBody

/**
 * What makes the bodies of a configuration; one function for all that are alike.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ bodyTemplate, contentType, format }: WebhookConfig): Effect.Effect<BodyOf, ConfigRefused> => {
  const isForm = contentType === "application/x-www-form-urlencoded"
  if (isForm && format?.startsWith("cloudevents") === true) {
    return refused("contentType", `Expected application/json, as the format is "${format}"`)
  }
  switch (format) {
    case "cloudevents-structured":
      return bodyTemplate === undefined
        ? Effect.succeed(structured)
        : refused("bodyTemplate", `The format "${format}" gives the body: leave one of the two out`)
    case "cloudevents-binary":
      return Effect.succeed(binary)
    case "seed":
      return Effect.succeed(isForm ? seedForm : seedJson)
    default:
      return Effect.succeed(isForm ? standardForm : standardJson)
  }
}

// --- internal ---

// The payload is JSON text already: bodies are put around it, so that it is never parsed.

/** A time in ISO 8601; its beginning is kept as long as the second is the same, as it takes long to write and most are of one. */
const iso = (() => {
  let keptSecond = Number.NaN
  let kept = ""
  return (ms: number): string => {
    const second = Math.floor(ms / 1000)
    if (second !== keptSecond) {
      kept = new Date(second * 1000).toISOString().slice(0, -"000Z".length)
      keptSecond = second
    }
    return `${kept}${String(Math.floor(ms - second * 1000)).padStart(3, "0")}Z`
  }
})()

/** The beginning of a body; the last one is kept, as many messages in a row are of one event. */
const beginning = (() => {
  let keptId = ""
  let kept = ""
  return (eventId: string): string => {
    if (eventId !== keptId) {
      kept = `{"type":${JSON.stringify(eventId)},"timestamp":"`
      keptId = eventId
    }
    return kept
  }
})()

const standard = ({ message }: Attempt) =>
  `${beginning(message.eventId)}${iso(message.timestampMs)}","data":${message.payloadJson}}`

const seed = ({ deliveryId, message, subscription }: Attempt) =>
  `{"id":"${deliveryId}","eventType":${JSON.stringify(message.eventId)},"timestamp":"${iso(message.timestampMs)}",` +
  `"subscription":{"id":"${subscription.id}","name":${JSON.stringify(subscription.name)}},` +
  `"data":${message.payloadJson}}`

/** A template's text may have half a surrogate pair, which has no UTF-8. */
const form = (json: string) => `payload=${encodeURIComponent(json.toWellFormed())}`

/** Every attribute's value is ASCII: ids of events are, and plugins' too. */
const attributes = ({ message, webhookId = message.id }: Attempt) => ({
  specversion: "1.0",
  id: webhookId,
  source: `urn:hookline:${message.eventId.split(".", 1)[0]}`,
  type: message.eventId,
  time: iso(message.timestampMs)
})

const cloudEvent = (attempt: Attempt) =>
  `${JSON.stringify({ ...attributes(attempt), datacontenttype: "application/json" }).slice(0, -1)},` +
  `"data":${attempt.message.payloadJson}}`

const structured: BodyOf = (attempt) => ({
  contentType: "application/cloudevents+json",
  headers: [],
  text: cloudEvent(attempt)
})

const binary: BodyOf = (attempt, rendered) => ({
  contentType: "application/json",
  headers: Object.entries(attributes(attempt)).flatMap(([name, value]) => [`ce-${name}`, value]),
  text: rendered ?? attempt.message.payloadJson
})

const jsonOf = (bodyOf: (attempt: Attempt) => string): BodyOf => (attempt, rendered) => ({
  contentType: "application/json",
  headers: [],
  text: rendered ?? bodyOf(attempt)
})

const formOf = (bodyOf: (attempt: Attempt) => string): BodyOf => (attempt, rendered) => ({
  contentType: "application/x-www-form-urlencoded",
  headers: [],
  text: form(rendered ?? bodyOf(attempt))
})

const standardJson = jsonOf(standard)
const standardForm = formOf(standard)
const seedJson = jsonOf(seed)
const seedForm = formOf(seed)
