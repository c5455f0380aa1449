/**
 * The endpoint of the audit log.
 */
import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { AuditId } from "../Id.ts"
import { Limits } from "../Limits.ts"
import { Storage } from "../Storage.ts"
import { stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import * as Page from "./Page.ts"
import { filterOf } from "./Tenancy.ts"
import * as Views from "./Views.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "audit",
  Effect.fnUntraced(function*(handlers) {
    const storage = yield* Storage
    const { listLook } = yield* Limits
    return handlers.handle("list", ({ query: { cursor, limit, ...query } }) =>
      Views.list(Page.asked(cursor, limit), {
        isId: Schema.is(AuditId),
        read: (page) =>
          Effect.flatMap(filterOf(query.tenantId), (tenant) =>
            Effect.map(
              stored(storage.walkAudit({ ...query, ...tenant }, { ...page, look: listLook })),
              Views.walked
            )),
        view: Views.auditEntry
      }))
  })
)
