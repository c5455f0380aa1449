/**
 * What the webhook's tests share: attempts, and endpoints on the loopback that keep what they got.
 */
import { Effect } from "effect"
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, RequestListener } from "node:http"
import { Egress } from "../../../src/Egress.ts"
import * as EgressNode from "../../../src/egress/EgressNode.ts"
import * as Id from "../../../src/Id.ts"
import { provider } from "../../../src/plugins/webhook/index.ts"
import type { Attempt } from "../../../src/Provider.ts"
import * as Signature from "../../../src/Signature.ts"
import { served } from "../../support/served.ts"

export const url = "https://example.com/hook"

export const nowMs = Date.UTC(2026, 10, 6, 8, 0, 0)

/** As it was encoded: neither its order nor its spacing may be touched. */
export const payloadJson = "{\"b\": \"\\u00e4ö\", \"a\":1.0}"

export const attemptAt = Effect.fnUntraced(function*(atMs: number, overrides: {
  readonly secrets?: Attempt["signingSecrets"]
  readonly payloadJson?: string
  readonly traceparent?: string
} = {}) {
  return {
    deliveryId: yield* Id.deliveryId(atMs),
    number: 1,
    nowMs: atMs,
    message: {
      id: yield* Id.messageId(atMs),
      eventId: "incident.incident.created",
      tenantId: "default",
      timestampMs: atMs - 1000,
      payloadJson: overrides.payloadJson ?? payloadJson
    },
    ...(overrides.traceparent === undefined ? {} : { traceparent: overrides.traceparent }),
    subscription: { id: yield* Id.subscriptionId(atMs), name: "the \"first\"" },
    signingSecrets: overrides.secrets ?? [yield* Signature.generateSecret]
  } satisfies Attempt
})

/** A request as it was on the wire. */
export interface Got {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn. */
  readonly rawHeaders: ReadonlyArray<string>
  readonly body: string
}

export interface Answer {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** A listener that keeps each request and answers it; the answer may depend on how many came before. */
export const keeping = (
  requests: Array<Got>,
  answer: (request: Got, before: number) => Answer = () => ({})
): RequestListener =>
(incoming: IncomingMessage, response) => {
  let body = ""
  incoming.setEncoding("utf8").on("data", (chunk: string) => (body += chunk)).on("end", () => {
    const got: Got = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      body
    }
    const { body: answered = "", headers = {}, status = 200 } = answer(got, requests.length)
    requests.push(got)
    response.writeHead(status, headers).end(answered)
  })
}

/** An endpoint on the loopback. */
export const endpoint = Effect.fnUntraced(function*(answer?: (request: Got, before: number) => Answer) {
  const requests: Array<Got> = []
  const { port, sockets } = yield* served(keeping(requests, answer))
  return { requests, sockets, origin: `http://127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/hook?a=b` }
})

export const loopback = EgressNode.layer({ allow: ["127.0.0.0/8"] })

/** Binds and checks a configuration, as it is done before it is saved. */
export const saved = Effect.fnUntraced(function*(config: object) {
  const bound = yield* provider.bind({ url, ...config }, { closed: true })
  yield* bound.check
  return bound
})

/** Why a configuration is refused, where every target is allowed. */
export const refused = (config: object) =>
  saved(config).pipe(
    Effect.provideService(Egress, { check: () => Effect.void, send: () => Effect.die("it sends nothing") }),
    Effect.flip
  )

/** The headers of a request, each once, as verifiers take them. */
export const flat = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
