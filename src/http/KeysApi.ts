/**
 * The contract of API keys.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { KeyId } from "../Id.ts"
import { Scope } from "../Key.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name } from "./Shapes.ts"
import { IsoTime } from "./Time.ts"

const keyFields = {
  id: KeyId,
  name: Schema.String,
  /** How it begins. */
  prefix: Schema.String,
  scopes: Schema.Array(Scope),
  /** The only tenant whose things it sees; left out where it sees everybody's. */
  tenantId: Schema.optionalKey(Schema.String),
  expiresAt: Schema.optionalKey(Schema.String),
  revokedAt: Schema.optionalKey(Schema.String),
  /** Known to a minute. */
  lastUsedAt: Schema.optionalKey(Schema.String),
  createdAt: Schema.String
}

/** @category schemas @since 0.1.0 */
export const KeyView = Schema.Struct(keyFields).annotate({ identifier: "Key" })

/** @category schemas @since 0.1.0 */
export const KeyCreated = Schema.Struct({
  ...keyFields,
  /** The key itself: in this answer only. */
  key: Schema.String
}).annotate({ identifier: "KeyCreated" })

/** @category schemas @since 0.1.0 */
export const KeyInput = Schema.Struct({
  name: Schema.String,
  scopes: Schema.Array(Scope),
  tenantId: Schema.optionalKey(Schema.String),
  expiresAt: Schema.optionalKey(IsoTime)
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
