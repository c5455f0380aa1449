import { Schema } from "effect"
import { Hook, IntegrationEvent, Plugin } from "hookline"

const incident = {
  incidentId: Schema.String,
  systemIds: Schema.Array(Schema.String),
  title: Schema.String,
  severity: Schema.String,
  status: Schema.String
}

export const IncidentCreated = Hook.make("incident.created", {
  payload: Schema.Struct({ ...incident, createdAt: Schema.String }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentUpdated = Hook.make("incident.updated", {
  payload: Schema.Struct({ ...incident, statusChange: Schema.optionalKey(Schema.String) }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentResolved = Hook.make("incident.resolved", {
  payload: Schema.Struct({ ...incident, resolvedAt: Schema.String }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentPlugin = Plugin.make("incident", {
  hooks: [IncidentCreated, IncidentUpdated, IncidentResolved],
  events: [
    IntegrationEvent.make(IncidentCreated, {
      displayName: "Incident Created",
      description: "An incident was opened",
      category: "Incidents"
    }),
    IntegrationEvent.make(IncidentUpdated, {
      displayName: "Incident Updated",
      description: "An incident's details or status changed",
      category: "Incidents"
    }),
    IntegrationEvent.make(IncidentResolved, {
      displayName: "Incident Resolved",
      description: "An incident is over",
      category: "Incidents"
    })
  ]
})
