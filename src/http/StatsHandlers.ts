/**
 * The endpoint of statistics.
 */
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Principal } from "../Access.ts"
import { Stats, type StatsReport } from "../Stats.ts"
import { deliveries, type Tally } from "../Tally.ts"
import { Api } from "./Api.ts"
import { Refused, unavailable } from "./Problem.ts"
import { filterOf } from "./Tenancy.ts"

const iso = (ms: number) => DateTime.formatIso(DateTime.makeUnsafe(ms))

const volume = <A extends Tally>(item: A) => ({ ...item, deliveries: deliveries(item) })

const view = (
  { byEvent, byProvider, bySubscription, fromMs, series, stepMs, toMs, totals, unfinished }: StatsReport
) => ({
  from: iso(fromMs),
  to: iso(toMs),
  stepMs,
  totals: {
    ...volume(totals),
    pending: unfinished.pending,
    retrying: unfinished.retrying,
    waitingAtLeast: unfinished.atLeast
  },
  byEvent: byEvent.map(volume),
  byProvider: byProvider.map(volume),
  bySubscription: bySubscription.map(volume),
  series: series.map(({ atMs, ...rest }) => ({ at: iso(atMs), ...rest }))
})

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "stats",
  Effect.fnUntraced(function*(handlers) {
    const stats = yield* Stats
    return handlers.handle("get", ({ query: { hours, tenantId, ...filter } }) =>
      Effect.gen(function*() {
        const tenant = yield* filterOf(tenantId)
        const withoutWorkQueues = (yield* Principal).tenantId !== undefined
        return view(
          yield* Effect.mapError(
            stats.get({ ...filter, ...tenant, withoutWorkQueues }, hours),
            (error) =>
              error._tag === "StatsRefused"
                ? new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
                : unavailable(error)
          )
        )
      }))
  })
)
