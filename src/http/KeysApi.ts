/**
 * The contract of API keys.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { KeyId } from "../Id.ts"
import { Scope } from "../Key.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name } from "./Shapes.ts"
import { IsoTime, Time } from "./Time.ts"

const keyFields = {
  id: KeyId.pipe(told("The key's id; not the key itself")),
  name: Schema.String.pipe(told("What it is for")),
  prefix: Schema.String.pipe(told("How the key begins")),
  scopes: Schema.Array(Scope).pipe(told("What it may do")),
  tenantId: Schema.optionalKey(Schema.String).pipe(
    told("The only tenant whose things it sees; left out where it sees everybody's")
  ),
  expiresAt: Schema.optionalKey(Time).pipe(told("From when on it is no good")),
  revokedAt: Schema.optionalKey(Time).pipe(told("When it was revoked")),
  lastUsedAt: Schema.optionalKey(Time).pipe(told("When it was used last, known to a minute")),
  createdAt: Time.pipe(told("When it was made"))
}

/** @category schemas @since 0.1.0 */
export const KeyView = Schema.Struct(keyFields).annotate({ identifier: "Key" })

/** @category schemas @since 0.1.0 */
export const KeyCreated = Schema.Struct({
  ...keyFields,
  key: Schema.String.pipe(told("The key itself: in this answer only"))
}).annotate({ identifier: "KeyCreated" })

/** @category schemas @since 0.1.0 */
export const KeyInput = Schema.Struct({
  name: Schema.String.pipe(told("What it is for")),
  scopes: Schema.Array(Scope).pipe(told("What it may do")),
  tenantId: Schema.optionalKey(Schema.String).pipe(told("Binds it to one tenant")),
  expiresAt: Schema.optionalKey(IsoTime).pipe(told("From when on it is no good; never when left out"))
}).annotate({ identifier: "KeyInput" })

const admin = { scope: "admin" } as const

/**
 * Keys.
 *
 * **Gotchas**
 *
 * A key that is revoked may be taken for good by other runners for some seconds more (`Limits.keyCacheMs`).
 *
 * @category groups
 * @since 0.1.0
 */
export class KeysGroup extends HttpApiGroup.make("keys").add(
  HttpApiEndpoint.post("create", "/keys", {
    payload: KeyInput,
    success: KeyCreated.pipe(HttpApiSchema.status(201)),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "Make a key",
      description: "The key itself is in this answer only.",
      request: Examples.keyInput,
      answer: Examples.keyCreated
    })
  ).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, admin),
  HttpApiEndpoint.get("list", "/keys", {
    query: { ...Page.query, tenantId: Schema.optionalKey(Name) },
    success: Page.of(KeyView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List keys",
      description: "Newest first, page by page, without the keys themselves.",
      answer: Examples.keys
    })
  ).annotate(Needs, admin),
  HttpApiEndpoint.get("get", "/keys/:id", { ...id, success: KeyView, error: [NotFound, Unavailable] }).annotateMerge(
    described({
      summary: "Read a key",
      description: "What it may do, whose things it sees, and when it was last used.",
      answer: Examples.key
    })
  )
    .annotate(Needs, admin),
  HttpApiEndpoint.delete("revoke", "/keys/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Unavailable]
  }).annotateMerge(
    described({
      summary: "Revoke a key",
      description: "It opens nothing from now on; runners that have used it may take some seconds to notice."
    })
  ).annotate(Needs, admin)
).annotateMerge(OpenApi.annotations({ description: "Keys of the API, their scopes and tenants." })) {}
