/**
 * The backend's own business: incidents, in tables of its own. What it emits commits or rolls back with its rows.
 */
import { Context, DateTime, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { SqlClient } from "effect/sql"
import { Hook } from "hookline"
import { IncidentCreated, IncidentResolved } from "./incident.ts"

export interface NewIncident {
  readonly title: string
  readonly severity: string
  readonly systemIds: ReadonlyArray<string>
}

export class SystemHasIncident extends Schema.TaggedError<SystemHasIncident>()("SystemHasIncident", {
  systemIds: Schema.Array(Schema.String)
}) {}

export class NoOpenIncident extends Schema.TaggedError<NoOpenIncident>()("NoOpenIncident", {
  incidentId: Schema.String
}) {}

export class Incidents extends Context.Service<Incidents>()("status-page/Incidents", {
  make: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { emit } = yield* Hook.Hooks
    const { uuidV7 } = yield* SecureRandom.SecureRandom

    /** Opens an incident; a system has one at a time. */
    const open = Effect.fn("Incidents.open")(
      function*({ severity, systemIds, title }: NewIncident) {
        const incidentId = yield* uuidV7()
        const createdAt = DateTime.formatIso(yield* DateTime.now)
        yield* sql`insert into incidents ${sql.insert({ id: incidentId, title, severity, status: "open" })}`
        yield* emit(IncidentCreated, { incidentId, systemIds, title, severity, status: "open", createdAt })
        // Where one of the systems has an incident this fails, and takes the row and the message back.
        yield* sql`insert into affected_systems select unnest(${systemIds}::text[]), ${incidentId}`
        return incidentId
      },
      sql.withTransaction,
      (effect, { systemIds }) =>
        Effect.catchReason(effect, "SqlError", "UniqueViolation", () => new SystemHasIncident({ systemIds }))
    )

    const resolve = Effect.fn("Incidents.resolve")(function*(incidentId: string) {
      const [incident] = yield* sql<{ readonly title: string; readonly severity: string }>`
        update incidents set status = 'resolved' where id = ${incidentId} and status = 'open' returning title, severity`
      if (!incident) return yield* new NoOpenIncident({ incidentId })
      const systems = yield* sql<{ readonly id: string }>`
        delete from affected_systems where incident_id = ${incidentId} returning id`
      const systemIds = systems.map(({ id }) => id)
      const resolvedAt = DateTime.formatIso(yield* DateTime.now)
      yield* emit(IncidentResolved, { incidentId, systemIds, ...incident, status: "resolved", resolvedAt })
    }, sql.withTransaction)

    return { open, resolve }
  })
}) {
  static readonly layer = Layer.effect(Incidents, this.make).pipe(Layer.provide(SecureRandom.layerWebCrypto))
}
