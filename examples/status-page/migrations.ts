import { Effect } from "effect"
import { SqlClient } from "effect/sql"

export default {
  "0001_incidents": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`create table incidents (
      id text primary key, title text not null, severity text not null, status text not null
    )`
    yield* sql`create table affected_systems (
      id text primary key, incident_id text not null references incidents
    )`
  })
}
