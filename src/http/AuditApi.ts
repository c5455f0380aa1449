/**
 * The contract of the audit log.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AuditId } from "../Id.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Refused, Unavailable } from "./Problem.ts"
import { JsonObject, Name } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const AuditView = Schema.Struct({
  id: AuditId,
  at: Schema.String,
  /** The bearer of a key, the admin key's, or Hookline itself. */
  actor: Schema.Struct({
    kind: Schema.Literals(["key", "admin-key", "hookline"]),
    id: Schema.optionalKey(Schema.String),
    name: Schema.optionalKey(Schema.String)
  }),
  /** As `subscription.update`. */
  action: Schema.String,
  resourceId: Schema.String,
  /** Whose resource it is; left out where it is nobody's. */
  tenantId: Schema.optionalKey(Schema.String),
  /** What differs, as it was and as it is, without secrets. */
  before: Schema.optionalKey(JsonObject),
  after: Schema.optionalKey(JsonObject)
}).annotate({ identifier: "AuditEntry" })

/** @category groups @since 0.1.0 */
export class AuditGroup extends HttpApiGroup.make("audit").add(
  HttpApiEndpoint.get("list", "/audit", {
    query: {
      ...Page.query,
      tenantId: Schema.optionalKey(Name),
      resourceId: Schema.optionalKey(Name),
      actorId: Schema.optionalKey(Name),
      action: Schema.optionalKey(Name)
    },
    success: Page.of(AuditView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List the audit log",
      description: "Who changed what and when, newest first, page by page.",
      answer: Examples.auditEntries
    })
  ).annotate(Needs, { scope: "admin" })
).annotateMerge(OpenApi.annotations({ description: "Who changed what." })) {}
