import { Schema } from "effect"
import { Hook, IntegrationEvent, Plugin } from "hookline"

export const IncidentCreated = Hook.make("incident.created", {
  payload: Schema.Struct({
    incidentId: Schema.NonEmptyString,
    systemIds: Schema.Array(Schema.String),
    title: Schema.String,
    severity: Schema.Literals(["minor", "major", "critical"])
  }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentPlugin = Plugin.make("incident", {
  hooks: [IncidentCreated],
  events: [IntegrationEvent.make(IncidentCreated, { displayName: "Incident Created", category: "Incidents" })]
})
