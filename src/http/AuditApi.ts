/**
 * The contract of the audit log.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AuditId } from "../Id.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Refused, Unavailable } from "./Problem.ts"
import { JsonObject, Name } from "./Shapes.ts"
import { Time } from "./Time.ts"

/** @category schemas @since 0.1.0 */
export const AuditView = Schema.Struct({
  id: AuditId.pipe(told("The entry's id")),
  at: Time.pipe(told("When it was done")),
  actor: Schema.Struct({
    kind: Schema.Literals(["key", "admin-key", "program", "hookline"]).pipe(
      told("The bearer of a key, the admin key's, a program that has Hookline in it, or Hookline itself")
    ),
    id: Schema.optionalKey(Schema.String).pipe(told("The key's id, or the one that the program says")),
    name: Schema.optionalKey(Schema.String).pipe(told("The key's name, or the one that the program says"))
  }).pipe(told("Who did it")),
  action: Schema.String.pipe(told("What was done, as `subscription.update`")),
  resourceId: Schema.String.pipe(told("What it was done to")),
  tenantId: Schema.optionalKey(Schema.String).pipe(told("Whose resource it is; left out where it is nobody's")),
  before: Schema.optionalKey(JsonObject).pipe(told("What differs, as it was, without secrets")),
  after: Schema.optionalKey(JsonObject).pipe(told("What differs, as it is, without secrets"))
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
