/**
 * The endpoint of the audit log.
 */
import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { AuditId } from "../Id.ts"
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
    return handlers.handle("list", ({ query: { cursor, limit, ...filter } }) =>
      Views.list(Page.asked(cursor, limit), {
        isId: Schema.is(AuditId),
        read: Views.oneMore((page) =>
          Effect.flatMap(
            filterOf(filter.tenantId),
            (tenant) => stored(storage.listAudit({ ...filter, ...tenant }, page))
          )
        ),
        view: Views.auditEntry
      }))
  })
)
