import { Schema } from "effect"
import { Hook, IntegrationEvent, Plugin } from "hookline"

const maintenance = {
  maintenanceId: Schema.String,
  systemIds: Schema.Array(Schema.String),
  title: Schema.String,
  status: Schema.String,
  startAt: Schema.String,
  endAt: Schema.String
}

export const MaintenanceCreated = Hook.make("maintenance.created", {
  payload: Schema.Struct(maintenance),
  orderingKey: (payload) => payload.maintenanceId
})

export const MaintenanceUpdated = Hook.make("maintenance.updated", {
  payload: Schema.Struct({ ...maintenance, action: Schema.Literals(["updated", "closed"]) }),
  orderingKey: (payload) => payload.maintenanceId
})

export const MaintenancePlugin = Plugin.make("maintenance", {
  hooks: [MaintenanceCreated, MaintenanceUpdated],
  events: [
    IntegrationEvent.make(MaintenanceCreated, { displayName: "Maintenance Created", category: "Maintenance" }),
    IntegrationEvent.make(MaintenanceUpdated, {
      displayName: "Maintenance Updated",
      category: "Maintenance",
      // Outside, a closed window is a state, not an action.
      transformPayload: ({ action, ...payload }) => ({ ...payload, closed: action === "closed" })
    })
  ]
})
