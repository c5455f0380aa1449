/**
 * Endpoints that do as a test says: what each URL answers, with which delay, and whether it answers at all. One without a
 * script accepts what it gets, with status 200.
 */
import { Context, Effect, type Schema } from "effect"
import { normalize, type Request } from "./Requests.ts"

// -- models

/**
 * What an endpoint does with a request.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer =
  | {
    readonly _tag: "Reply"
    readonly status: number
    /** Lower-case names. */
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly delayMs: number
  }
  | { readonly _tag: "Hangs" }
  | { readonly _tag: "Refuses"; readonly code: string; readonly delayMs: number }
  /** The request gets through and is answered, but the connection breaks before the sender hears of it. */
  | { readonly _tag: "Breaks"; readonly code: string; readonly status: number; readonly delayMs: number }

/**
 * What a script says of a request: an answer, or a status alone.
 *
 * @category models
 * @since 0.1.0
 */
export type Scripted = number | Answer

/**
 * What an endpoint does: answers in turn, of which the last one stays (200 where there is none), or an answer for each
 * request.
 *
 * @category models
 * @since 0.1.0
 */
export type Script = ReadonlyArray<Scripted> | ((request: Request) => Scripted | Effect.Effect<Scripted>)

// -- service

/**
 * The endpoints; the layer is that of `EgressFake`.
 *
 * @category services
 * @since 0.1.0
 */
export class Endpoints extends Context.Service<Endpoints, {
  readonly script: (url: string, script: Script) => Effect.Effect<void>
  readonly otherwise: (script: Script) => Effect.Effect<void>
  readonly forbid: (url: string, why: string) => Effect.Effect<void>
  /** What the endpoint of a request does with it. */
  readonly answer: (request: Request) => Effect.Effect<Answer>
  /** Why a URL is forbidden; undefined where it is not. */
  readonly refusal: (url: string) => string | undefined
}>()("hookline/testing/Endpoints") {}

// -- answers

/**
 * Answers with a status; a body that is no text is sent as JSON.
 *
 * @category answers
 * @since 0.1.0
 */
export const reply = (status: number, options?: {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Schema.Json
  readonly delayMs?: number
}): Answer => {
  const { body = "", delayMs = 0, headers = {} } = options ?? {}
  return {
    _tag: "Reply",
    status,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    body: typeof body === "string" ? body : JSON.stringify(body),
    delayMs
  }
}

/**
 * Takes the request and never answers: the sender's timeout ends it.
 *
 * @category answers
 * @since 0.1.0
 */
export const hangs: Answer = { _tag: "Hangs" }

/**
 * Takes no connection.
 *
 * @category answers
 * @since 0.1.0
 */
export const refuses = (code = "ECONNREFUSED", options?: { readonly delayMs?: number }): Answer => ({
  _tag: "Refuses",
  code,
  delayMs: options?.delayMs ?? 0
})

/**
 * Takes the request, and the connection breaks before its answer, of `status`, has arrived.
 *
 * **Gotchas**
 *
 * With a status of 2xx the endpoint has accepted what the sender will send again.
 *
 * @category answers
 * @since 0.1.0
 */
export const breaks = (code = "ECONNRESET", options?: {
  readonly status?: number
  readonly delayMs?: number
}): Answer => ({ _tag: "Breaks", code, status: options?.status ?? 200, delayMs: options?.delayMs ?? 0 })

// -- combinators

/**
 * Says what the endpoint of a URL does from now on.
 *
 * **Example**
 *
 * ```ts
 * yield* Endpoints.script("https://example.com/hook", [
 *   500,
 *   Endpoints.hangs,
 *   Endpoints.reply(429, { headers: { "retry-after": "7" } }),
 *   Endpoints.reply(200, { delayMs: 300 })
 * ])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const script = (url: string, script: Script): Effect.Effect<void, never, Endpoints> =>
  Effect.flatMap(Endpoints, (endpoints) => endpoints.script(url, script))

/**
 * Says what the endpoints without a script of their own do from now on, all together.
 *
 * @category combinators
 * @since 0.1.0
 */
export const otherwise = (script: Script): Effect.Effect<void, never, Endpoints> =>
  Effect.flatMap(Endpoints, (endpoints) => endpoints.otherwise(script))

/**
 * Forbids a URL from now on, as an address policy would: it is refused when a subscription to it is saved, and when a
 * request to it is sent. Else every http and https URL is allowed, also those of private addresses.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forbid = (url: string, why = "the test forbids this target"): Effect.Effect<void, never, Endpoints> =>
  Effect.flatMap(Endpoints, (endpoints) => endpoints.forbid(url, why))

// -- constructors

/**
 * Makes endpoints without scripts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Endpoints["Service"] => {
  const scripts = new Map<string, (request: Request) => Scripted | Effect.Effect<Scripted>>()
  const forbidden = new Map<string, string>()
  let rest = turns([200])
  return {
    script: (url, script) => Effect.sync(() => scripts.set(normalize(url), turns(script))),
    otherwise: (script) =>
      Effect.sync(() => {
        rest = turns(script)
      }),
    forbid: (url, why) => Effect.sync(() => forbidden.set(normalize(url), why)),
    answer: (request) =>
      Effect.suspend(() => {
        const scripted = (scripts.get(request.url) ?? rest)(request)
        return Effect.isEffect(scripted) ? Effect.map(scripted, answerOf) : Effect.succeed(answerOf(scripted))
      }),
    refusal: (url) => {
      const parsed = URL.parse(url)
      if (!parsed) return "it is no URL"
      if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
        return `${parsed.protocol} is not allowed: use https: or http:`
      }
      if (parsed.username !== "" || parsed.password !== "") return "a URL may hold no user name or password"
      return forbidden.get(parsed.href)
    }
  }
}

// --- internal ---

const answerOf = (scripted: Scripted): Answer => typeof scripted === "number" ? reply(scripted) : scripted

const turns = (script: Script): (request: Request) => Scripted | Effect.Effect<Scripted> => {
  if (typeof script === "function") return script
  let turn = 0
  return () => script[Math.min(turn++, script.length - 1)] ?? 200
}
