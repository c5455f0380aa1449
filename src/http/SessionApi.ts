/**
 * The contract of sessions: who asks, and the cookie of a browser.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Scope } from "../Key.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import { Problems, TooManyRequests, Unauthorized, Unavailable } from "./Problem.ts"
import { closed } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const SessionView = Schema.Struct({
  actor: Schema.Struct({
    kind: Schema.Literals(["key", "admin-key", "program", "hookline"]).pipe(
      told("The bearer of a key, the admin key's, a program that has Hookline in it, or Hookline itself")
    ),
    id: Schema.optionalKey(Schema.String).pipe(told("The key's id")),
    name: Schema.optionalKey(Schema.String).pipe(told("The key's name"))
  }).pipe(told("Who asks")),
  scopes: Schema.Array(Scope).pipe(told("What they may do")),
  tenantId: Schema.optionalKey(Schema.String).pipe(told("The only tenant that is seen; left out where all are"))
}).annotate({ identifier: "Session" })

/**
 * Who asks, by a key or by a session's cookie.
 *
 * @category groups
 * @since 0.1.0
 */
export class SessionGroup extends HttpApiGroup.make("session").add(
  HttpApiEndpoint.get("get", "/session", { success: SessionView }).annotateMerge(described({
    summary: "Tell who asks",
    description: "By a key or by the cookie of a session: its scopes and its tenant.",
    answer: Examples.session
  })).annotate(Needs, "anybody")
).annotateMerge(OpenApi.annotations({ description: "Who asks." })) {}

/**
 * Beginning and ending a browser's session.
 *
 * **Details**
 *
 * The cookie is `HttpOnly` and `SameSite=Strict`; what changes something is taken only from a page of the same origin. It is
 * worth what its key is worth at the time, and for `Limits.sessionMs`.
 *
 * @category groups
 * @since 0.1.0
 */
export class LoginGroup extends HttpApiGroup.make("login").add(
  HttpApiEndpoint.post("begin", "/session", {
    payload: Schema.Struct({ key: Schema.String.pipe(told("A key of Hookline's")) }).annotate({
      identifier: "SessionInput"
    }),
    success: SessionView,
    error: [Unauthorized, TooManyRequests, Unavailable]
  }).annotateMerge(described({
    summary: "Begin a session",
    description: "Sets a cookie for a browser, which is worth what the key is.",
    request: { key: "hk_…" },
    answer: Examples.session
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("end", "/session", { success: HttpApiSchema.NoContent }).annotateMerge(described({
    summary: "End a session",
    description: "Takes the cookie back."
  }))
).middleware(Problems).annotateMerge(OpenApi.annotations({ description: "Sessions of browsers." })) {}
