/**
 * The one door to the outside: every outbound request of every provider passes `Egress.send`, which decides by one policy
 * where a request may go, for how long it may take and how much of the answer is read. The Node layer is in `egress/`.
 */
import { Context, type Effect, type Redacted, type Result, Schema } from "effect"
import type { Note } from "./Note.ts"

/**
 * What a connection is made with beyond the system's defaults, as PEM.
 *
 * @category models
 * @since 0.1.0
 */
export interface EgressTls {
  /** The client's certificate, with its chain, and the key to it. */
  readonly certificate?: string
  readonly privateKey?: Redacted.Redacted<string>
  /** Certificates of authorities to trust, instead of the system's. */
  readonly authorities?: string
}

/**
 * A request as a provider asks for it; redirects are never followed.
 *
 * @category models
 * @since 0.1.0
 */
export interface EgressRequest {
  readonly method: string
  readonly url: string
  /** Names and values in turn, as they go on the wire. */
  readonly headers: ReadonlyArray<string>
  readonly body: string
  /** From the start to the end of the answer, in milliseconds; `Limits.requestTimeoutMs` when left out. */
  readonly timeoutMs?: number
  readonly tls?: EgressTls | undefined
}

/**
 * An endpoint's answer, of any status; its body is cut at `Limits.responseBytes`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EgressResponse {
  readonly statusCode: number
  /** Lower-case names; repeated headers are joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * The target is refused by policy: its scheme, its address or an address that its name resolves to.
 *
 * @category errors
 * @since 0.1.0
 */
export class ForbiddenTarget extends Schema.TaggedError<ForbiddenTarget>()("ForbiddenTarget", {
  message: Schema.String
}) {}

/**
 * The request got no whole answer in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class EgressTimeout extends Schema.TaggedError<EgressTimeout>()("EgressTimeout", {
  message: Schema.String
}) {}

/**
 * The connection could not be made or broke: refused, reset, name not found, TLS failure, malformed answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionFailed extends Schema.TaggedError<ConnectionFailed>()("ConnectionFailed", {
  /** The system's code, such as `ECONNREFUSED`, where there is one. */
  code: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export type EgressError = ForbiddenTarget | EgressTimeout | ConnectionFailed

/**
 * The door.
 *
 * @category services
 * @since 0.1.0
 */
export class Egress extends Context.Service<Egress, {
  /** Sends one request. An interrupt aborts it and closes its socket. */
  readonly send: (request: EgressRequest) => Effect.Effect<EgressResponse, EgressError>
  /**
   * The same without a fiber, whose steps cost about a third of what the request does: sends it at once, notes what becomes known of it
   * meanwhile, and calls `told` with what has come of it, perhaps before it returns. What it returns gives the request up, after which
   * nothing is told. Where a door has it not, every attempt is made by `deliver`.
   */
  readonly begin?: (
    request: EgressRequest,
    note: Note,
    told: (result: Result.Result<EgressResponse, EgressError>) => void
  ) => () => void
  /**
   * Checks a URL by the rule and with the message that `send` would refuse it with. A name that does not resolve now is accepted.
   */
  readonly check: (url: string) => Effect.Effect<void, ForbiddenTarget>
}>()("hookline/Egress") {}
