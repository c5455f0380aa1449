/**
 * A webhook's body and the headers that go with it: Standard Webhooks', the seed's, CloudEvents 1.0 or a template's.
 */
import type { Attempt } from "../../Provider.ts"
import type { WebhookConfig } from "./WebhookConfig.ts"

/** @category models @since 0.1.0 */
export interface WebhookBody {
  readonly contentType: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly text: string
}

/**
 * Makes the body of an attempt; `rendered` is what the body's template gave, where there is one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { contentType, format }: Pick<WebhookConfig, "contentType" | "format">,
  attempt: Attempt,
  rendered: string | undefined
): WebhookBody => {
  switch (format) {
    case "cloudevents-structured":
      return { contentType: "application/cloudevents+json", headers: [], text: cloudEvent(attempt) }
    case "cloudevents-binary":
      return {
        contentType: "application/json",
        headers: Object.entries(attributes(attempt)).flatMap(([name, value]) => [`ce-${name}`, value]),
        text: rendered ?? attempt.message.payloadJson
      }
    default: {
      const json = rendered ?? (format === "seed" ? seed(attempt) : standard(attempt))
      return contentType === "application/x-www-form-urlencoded"
        ? { contentType, headers: [], text: `payload=${encodeURIComponent(json)}` }
        : { contentType: "application/json", headers: [], text: json }
    }
  }
}

// --- internal ---

// The payload is JSON text already: bodies are put around it, so that it is never parsed.

const iso = (ms: number) => new Date(ms).toISOString()

const standard = ({ message }: Attempt) =>
  `{"type":${JSON.stringify(message.eventId)},"timestamp":"${iso(message.timestampMs)}","data":${message.payloadJson}}`

const seed = ({ deliveryId, message, subscription }: Attempt) =>
  `{"id":"${deliveryId}","eventType":${JSON.stringify(message.eventId)},"timestamp":"${iso(message.timestampMs)}",` +
  `"subscription":{"id":"${subscription.id}","name":${JSON.stringify(subscription.name)}},` +
  `"data":${message.payloadJson}}`

/** Every attribute's value is ASCII: ids of events are, and plugins' too. */
const attributes = ({ message }: Attempt) => ({
  specversion: "1.0",
  id: message.id,
  source: `urn:hookline:${message.eventId.split(".", 1)[0]}`,
  type: message.eventId,
  time: iso(message.timestampMs)
})

const cloudEvent = (attempt: Attempt) =>
  `${JSON.stringify({ ...attributes(attempt), datacontenttype: "application/json" }).slice(0, -1)},` +
  `"data":${attempt.message.payloadJson}}`
