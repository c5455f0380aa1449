/**
 * The HTTP side as a server: the API, its description, health; every failure as a problem.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Cause, Effect, Layer, Schema } from "effect"
import {
  HttpIncomingMessage,
  HttpMiddleware,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Limits } from "../Limits.ts"
import { Members } from "../Members.ts"
import * as Metrics from "../Metrics.ts"
import { Storage } from "../Storage.ts"
import * as TraceContext from "../TraceContext.ts"
import { Api } from "./Api.ts"
import * as AuditHandlers from "./AuditHandlers.ts"
import * as ClusterHandlers from "./ClusterHandlers.ts"
import * as ConnectionsHandlers from "./ConnectionsHandlers.ts"
import * as DeliveriesHandlers from "./DeliveriesHandlers.ts"
import * as Docs from "./Docs.ts"
import * as EventsHandlers from "./EventsHandlers.ts"
import * as KeysHandlers from "./KeysHandlers.ts"
import * as Listener from "./Listener.ts"
import * as MessagesHandlers from "./MessagesHandlers.ts"
import * as Methods from "./Methods.ts"
import * as MetricsHandlers from "./MetricsHandlers.ts"
import * as PluginsHandlers from "./PluginsHandlers.ts"
import * as Problem from "./Problem.ts"
import * as ReplaysHandlers from "./ReplaysHandlers.ts"
import * as RetentionHandlers from "./RetentionHandlers.ts"
import * as SessionHandlers from "./SessionHandlers.ts"
import * as StatsHandlers from "./StatsHandlers.ts"
import * as StreamHandlers from "./StreamHandlers.ts"
import * as SubscriptionsHandlers from "./SubscriptionsHandlers.ts"
import * as Undeclared from "./Undeclared.ts"

/**
 * The server can't listen: the operator's fault, told at start.
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", { message: Schema.String }) {}

const problem = (kind: Undeclared.Kind, detail: string) =>
  HttpServerResponse.jsonUnsafe(Problem.body(kind, detail), {
    status: kind.status,
    contentType: "application/problem+json"
  })

const live = HttpRouter.add("GET", "/health/live", Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "live" })))

/**
 * Ready means that this runner does what is due, and that the API can read. What it lacks the code of is told and makes it no
 * less ready: one subscription of a plugin that was taken out would take every runner from its balancer.
 */
const ready = HttpRouter.add(
  "GET",
  "/health/ready",
  Effect.gen(function*() {
    const members = yield* Members
    const storage = yield* Storage
    const readiness = yield* members.readiness
    if (!readiness.ready) return problem(Undeclared.notReady, readiness.reason)
    yield* storage.listSubscriptions({}, { cursor: undefined, limit: 1 })
    const { codeMissing, self } = yield* members.overview
    const lacks = codeMissing.filter(({ runnerIds }) => runnerIds.includes(self)).map(({ id, kind }) => ({ kind, id }))
    return HttpServerResponse.jsonUnsafe({ status: "ready", ...(lacks.length === 0 ? {} : { codeMissing: lacks }) })
  }).pipe(
    Effect.timeout("2 seconds"),
    Effect.catch(() => Effect.succeed(problem(Undeclared.notReady, "The database does not answer.")))
  )
)

const noRoute = problem(Undeclared.noRoute, "See /openapi.json for the routes.")

/** The problem behind a bare status of the server's own. */
const ofStatus = (status: number, tooLarge: HttpServerResponse.HttpServerResponse) =>
  status === 404
    ? noRoute
    : status === 413
    ? tooLarge
    : status === 415
    ? problem(Undeclared.unsupportedMediaType, "Send application/json.")
    : problem({ name: "refused", status, title: "The request is refused" }, `The server answered ${status}.`)

const cutOff = problem(Undeclared.cutOff, "The body ended too early: send it again.")

/**
 * What browsers are told, where an answer says nothing else: not to guess its type, keep it, run anything of it, show it in a
 * frame, give it to other sites' pages, or name its address to those it leads to.
 */
const safe = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer"
}

/** What a client needs besides a problem to act on it. */
const advice = (status: number): Readonly<Record<string, string>> =>
  status === 401 ? { "www-authenticate": "Bearer realm=\"hookline\"" } : status === 503 ? { "retry-after": "1" } : {}

/**
 * Whether a body of unknown length was not read to its end: the server gives it up where it goes on for long, and the client
 * should know before it sends another request behind it.
 */
const isUnread = ({ headers, source }: HttpServerRequest.HttpServerRequest) =>
  headers["transfer-encoding"] !== undefined && "complete" in source && source.complete === false

/** 404, or 405 for a path that has other methods. */
const unrouted = ({ method, url }: HttpServerRequest.HttpServerRequest) => {
  const methods = Methods.of(url)
  if (methods.length === 0 || methods.includes(method)) return noRoute
  const allow = methods.join(", ")
  return HttpServerResponse.setHeader(
    problem(Undeclared.methodNotAllowed, `Send ${allow} instead of ${method}.`),
    "allow",
    allow
  )
}

/** Whether a request brings a batch of messages: the one route whose body is larger. */
const isBatch = ({ method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "POST" && url.split("?", 1)[0] === "/api/v1/messages/batch"

/** Whatever has no answer of its own becomes a problem; bodies are bounded before they are read. */
const guarded =
  (count: (value: number, method: string, status: string) => void) =>
  <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.gen(function*() {
      const limits = yield* Limits
      const request = yield* HttpServerRequest.HttpServerRequest
      const bytes = isBatch(request) ? limits.batchBytes : limits.payloadBytes
      // What is left of the body is not read: the next request would not be found behind it.
      const tooLarge = HttpServerResponse.setHeader(
        problem(Undeclared.tooLarge, `A request's body has at most ${bytes} bytes.`),
        "connection",
        "close"
      )
      if (Number(request.headers["content-length"] ?? 0) > bytes) return tooLarge
      return yield* Effect.provideService(app, HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bytes)).pipe(
        Effect.map((response) =>
          response.status < 400 || /problem\+json/u.test(response.headers["content-type"] ?? "")
            ? response
            : ofStatus(response.status, tooLarge)
        ),
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
          const error = Cause.squash(cause)
          if (HttpServerError.isHttpServerError(error)) {
            const { reason } = error
            if (reason._tag === "RouteNotFound") return Effect.succeed(unrouted(request))
            if (reason._tag === "RequestParseError") {
              return Effect.succeed(reason.reason === "BodyTooLarge" ? tooLarge : cutOff)
            }
          }
          return Effect.as(
            Effect.logError("A request failed", cause),
            problem(Undeclared.internal, "This is Hookline's fault; its log says more.")
          )
        })
      )
    }).pipe(
      Effect.flatMap((response) =>
        Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
          count(1, request.method, String(response.status))
          return HttpServerResponse.setHeaders(response, {
            ...safe,
            ...response.headers,
            ...(isUnread(request) ? { connection: "close" } : {}),
            ...advice(response.status)
          })
        })
      )
    )

const api = HttpApiBuilder.layer(Api).pipe(
  Layer.provide([
    AuditHandlers.layer,
    ClusterHandlers.layer,
    ConnectionsHandlers.layer,
    DeliveriesHandlers.layer,
    EventsHandlers.layer,
    KeysHandlers.layer,
    MessagesHandlers.layer,
    MetricsHandlers.layer,
    PluginsHandlers.layer,
    ReplaysHandlers.layer,
    RetentionHandlers.layer,
    SessionHandlers.layer,
    StatsHandlers.layer,
    StreamHandlers.layer,
    SubscriptionsHandlers.layer
  ]),
  Layer.provide(Problem.layer)
)

/** What counts the requests of the server that the context is of. */
const counting = Effect.map(
  Effect.context<never>(),
  (context) => Metrics.labelled(Metrics.httpRequests, context, "method", "status")
)

const unguarded = ({ health = true, publicDocs = true }: RouteOptions) =>
  Layer.mergeAll(api, health ? Layer.merge(live, ready) : Layer.empty, publicDocs ? Docs.layer : Layer.empty)

/**
 * What the routes are told.
 *
 * @category models
 * @since 0.1.0
 */
export interface RouteOptions {
  /** Whether the description, `/openapi.json` and `/docs`, is open to everybody; it is unless this is false. */
  readonly publicDocs?: boolean
  /** Whether there are `/health/live` and `/health/ready`; a server may have its own there. */
  readonly health?: boolean
}

/**
 * Layer of the routes, to be served by a backend's own `HttpRouter` beside its own: `/api/v1`, `/metrics`, `/health` and the
 * description, at these paths.
 *
 * **Details**
 *
 * Bodies are bounded, failures are problems and headers are safe on these routes, and on no others. What has no route is the
 * server's own to answer, and so are CORS and what the listener itself refuses.
 *
 * **Gotchas**
 *
 * A server that stops waits for its answers, and a live stream has no end of its own: build `ending` on it, so that streams
 * end first.
 *
 * @category layers
 * @since 0.1.0
 */
export const routes = (options: RouteOptions = {}) =>
  unguarded(options).pipe(Layer.provide(HttpRouter.middleware(Effect.map(counting, (count) => guarded(count))).layer))

/**
 * Layer that lets the live streams end when it is released: to be built on the server, which waits for its answers.
 *
 * @category layers
 * @since 0.1.0
 */
export const ending = StreamHandlers.ending

const listening = (options: { readonly port: number; readonly host: string }) =>
  Layer.unwrap(
    Effect.map(Limits, ({ serverDrainMs }) =>
      NodeHttpServer.layer(Listener.create, { ...options, gracefulShutdownTimeout: serverDrainMs }))
  )

/**
 * Lets pages of other origins use the API with a key; sessions stay with this server's own pages.
 */
const cors = (origins: ReadonlyArray<string>) =>
  origins.length === 0
    ? Layer.empty
    : HttpRouter.middleware(
      HttpMiddleware.cors({
        allowedOrigins: (origin) => origins.includes(origin),
        allowedHeaders: ["authorization", "content-type", "if-match", "last-event-id", "traceparent"],
        exposedHeaders: ["etag", "ratelimit", "ratelimit-policy", "retry-after"],
        maxAge: corsMaxAgeSeconds
      }),
      { global: true }
    )

/** Requests have spans where these go somewhere; those that ask again and again how the runner is have none. */
const tracing = Layer.effect(
  HttpMiddleware.TracerDisabledWhen,
  Effect.withFiberSucceed((fiber) => {
    const isTraced = TraceContext.isTraced(fiber)
    return ({ url }: HttpServerRequest.HttpServerRequest) => !isTraced || /^\/(health\/|metrics)/u.test(url)
  })
)

/** For how long a browser need not ask again. */
const corsMaxAgeSeconds = 600

/**
 * What a server is told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<RouteOptions, "publicDocs"> {
  readonly port: number
  readonly host: string
  /** Origins, as `https://app.example.com`, whose pages may use the API with a key; none when left out. */
  readonly corsOrigins?: ReadonlyArray<string>
}

/**
 * Layer of the server. Its description, `/openapi.json` and `/docs`, is open to everybody, as it tells nothing of what is
 * stored; `publicDocs: false` leaves both out.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ({ corsOrigins = [], publicDocs = true, ...options }: Options) =>
  ending.pipe(
    Layer.provideMerge(
      HttpRouter.serve(
        // Around all of it: what has no route here is a problem too.
        Layer.mergeAll(
          unguarded({ publicDocs }),
          HttpRouter.middleware(Effect.map(counting, (count) => guarded(count)), { global: true }),
          cors(corsOrigins)
        ),
        {
          disableLogger: true,
          disableListenLog: true
        }
      ).pipe(Layer.provide(tracing))
    ),
    Layer.provideMerge(
      listening(options).pipe(
        Layer.catch(() =>
          Layer.effectContext(Effect.fail(
            new ListenFailed({
              message: `Port ${options.port} on ${options.host} can't be used: is another process listening there? ` +
                "Choose another with --port or HOOKLINE_PORT."
            })
          ))
        )
      )
    )
  )
