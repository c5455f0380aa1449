/**
 * The door to the outside, for tests: nothing leaves the process. Requests are recorded, scripted endpoints answer them, and
 * faults strike them where a layer of faults is provided.
 */
import { Cause, Clock, Context, Effect, Exit, FiberSet, Layer, Option, Result } from "effect"
import {
  ConnectionFailed,
  Egress,
  type EgressError,
  type EgressRequest,
  type EgressResponse,
  EgressTimeout,
  ForbiddenTarget
} from "../Egress.ts"
import { Limits } from "../Limits.ts"
import * as Endpoints from "./Endpoints.ts"
import { type EndpointFault, Faults } from "./Faults.ts"
import * as Requests from "./Requests.ts"

/**
 * Layer of the fake door, its endpoints and its record.
 *
 * **Details**
 *
 * It keeps to the rules of the real one: the request's timeout, how much of an answer is read, what a header may hold. No
 * address is forbidden but by `Endpoints.forbid`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Egress | Endpoints.Endpoints | Requests.Requests> = Layer.effectContext(
  Effect.gen(function*() {
    const limits = yield* Limits
    const faults = yield* Faults
    const endpoints = Endpoints.make()
    const requests: Array<Requests.Request> = []

    const answerTo = Effect.fnUntraced(function*(request: Requests.Request) {
      const fault = yield* faults.endpoint(request.url, request.headers["webhook-id"] ?? request.body)
      if (fault !== undefined && fault !== "reset") return instead(fault)
      const answer = yield* endpoints.answer(request)
      return fault === "reset" && answer._tag === "Reply"
        ? Endpoints.breaks("ECONNRESET", { status: answer.status, delayMs: answer.delayMs })
        : answer
    })

    const send = Effect.fnUntraced(function*(asked: EgressRequest) {
      const refusal = endpoints.refusal(asked.url)
      if (refusal !== undefined) return yield* new ForbiddenTarget({ message: refusal })
      const malformed = asked.headers.find((text, i) => !(i % 2 === 0 ? headerName : headerValue).test(text))
      if (malformed !== undefined) {
        const message = `${JSON.stringify(malformed)} can't be in a header`
        return yield* new ConnectionFailed({ code: "UND_ERR_INVALID_ARG", message })
      }
      const timeoutMs = asked.timeoutMs ?? limits.requestTimeoutMs
      const request = Requests.make(asked, yield* Clock.currentTimeMillis)
      const place = requests.push(request) - 1
      let answer: Endpoints.Answer | undefined
      return yield* answerTo(request).pipe(
        Effect.tap((found) =>
          Effect.sync(() => {
            answer = found
          })
        ),
        Effect.flatMap((found) => act(found, limits)),
        Effect.timeoutOrElse({
          duration: timeoutMs,
          orElse: () => Effect.fail(new EgressTimeout({ message: `No whole answer within ${timeoutMs} ms` }))
        }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            requests[place] = { ...request, result: resultOf(exit, answer) }
          })
        )
      )
    })
    const run = yield* FiberSet.makeRuntime<never, EgressResponse, EgressError>()

    return Context.make(
      Egress,
      Egress.of({
        send,
        begin: (request, _note, told) => {
          let isOver = false
          const fiber = run(send(request))
          fiber.addObserver((exit) => {
            if (isOver || Exit.hasInterrupts(exit)) return
            isOver = true
            told(Exit.isSuccess(exit) ? Result.succeed(exit.value) : Result.fail(failureOf(exit.cause)))
          })
          return () => {
            isOver = true
            fiber.interruptUnsafe()
          }
        },
        check: (url) => {
          const refusal = endpoints.refusal(url)
          return refusal === undefined ? Effect.void : Effect.fail(new ForbiddenTarget({ message: refusal }))
        }
      })
    ).pipe(
      Context.add(Endpoints.Endpoints, endpoints),
      Context.add(Requests.Requests, { all: Effect.sync(() => [...requests]) })
    )
  })
)

// --- internal ---

// As RFC 9110 has them; names of the connection's own are not for a request to set.
const headerName = /^(?!(?:connection|expect|keep-alive|transfer-encoding|upgrade)$)[!#$%&'*+\-.^_`|~\w]+$/iu
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/u

const instead = (fault: Exclude<EndpointFault, "reset">): Endpoints.Answer => {
  switch (fault) {
    case "status":
      return Endpoints.reply(503)
    case "refused":
      return Endpoints.refuses()
    case "hangs":
      return Endpoints.hangs
  }
}

const act = (answer: Endpoints.Answer, limits: Limits): Effect.Effect<EgressResponse, EgressError> => {
  switch (answer._tag) {
    case "Hangs":
      return Effect.never
    case "Reply": {
      const { delayMs, headers, status: statusCode } = answer
      const body = Buffer.from(answer.body).subarray(0, limits.responseBytes).toString("utf8")
      return Effect.delay(Effect.succeed({ statusCode, headers, body }), delayMs)
    }
    case "Refuses":
    case "Breaks": {
      const { _tag, code, delayMs } = answer
      const what = _tag === "Refuses" ? "the endpoint took no connection" : "the connection broke before the answer"
      return Effect.delay(Effect.fail(new ConnectionFailed({ code, message: `${code}: ${what}` })), delayMs)
    }
  }
}

/** A script that throws is a connection that fails. */
const failureOf = (cause: Cause.Cause<EgressError>): EgressError =>
  Option.getOrElse(
    Cause.findErrorOption(cause),
    () => new ConnectionFailed({ code: "UNKNOWN", message: Cause.pretty(cause) })
  )

const resultOf = (
  exit: Exit.Exit<EgressResponse, EgressError>,
  answer: Endpoints.Answer | undefined
): Requests.Result => {
  if (Exit.isSuccess(exit)) return { _tag: "Answered", statusCode: exit.value.statusCode }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error?._tag === "EgressTimeout") return { _tag: "TimedOut" }
  if (error?._tag !== "ConnectionFailed") return { _tag: "Interrupted" }
  return {
    _tag: "Failed",
    code: error.code,
    ...(answer?._tag === "Breaks" ? { lostStatusCode: answer.status } : {})
  }
}
