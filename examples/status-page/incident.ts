import { Schema } from "effect"
import { Hook, IntegrationEvent, Plugin } from "hookline"

/** Examples are for people: documentation, previews and tests of subscriptions show them. */
const incident = {
  incidentId: Schema.String.annotate({ examples: ["i-1"] }),
  systemIds: Schema.Array(Schema.String).annotate({ examples: [["web"]] }),
  title: Schema.String.annotate({ examples: ["Checkout is down"] }),
  severity: Schema.String.annotate({ examples: ["major"] }),
  status: Schema.String.annotate({ examples: ["open"] })
}

const time = Schema.String.annotate({ examples: ["2026-01-31T12:00:00Z"] })

export const IncidentCreated = Hook.make("incident.created", {
  payload: Schema.Struct({ ...incident, createdAt: time }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentUpdated = Hook.make("incident.updated", {
  payload: Schema.Struct({ ...incident, statusChange: Schema.optionalKey(Schema.String) }),
  orderingKey: (payload) => payload.incidentId
})

export const IncidentResolved = Hook.make("incident.resolved", {
  payload: Schema.Struct({ ...incident, resolvedAt: time }),
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
