import { Schema } from "effect"
import { Hook, IntegrationEvent, Plugin } from "hookline"

const health = {
  systemId: Schema.String,
  previousStatus: Schema.String,
  newStatus: Schema.String,
  healthyChecks: Schema.Int,
  totalChecks: Schema.Int,
  timestamp: Schema.String
}

export const SystemDegraded = Hook.make("system.degraded", {
  payload: Schema.Struct(health),
  orderingKey: (payload) => payload.systemId
})

export const SystemHealthy = Hook.make("system.healthy", {
  payload: Schema.Struct(health),
  orderingKey: (payload) => payload.systemId
})

export const HealthcheckPlugin = Plugin.make("healthcheck", {
  hooks: [SystemDegraded, SystemHealthy],
  events: [
    IntegrationEvent.make(SystemDegraded, { displayName: "System Health Degraded", category: "Health" }),
    IntegrationEvent.make(SystemHealthy, { displayName: "System Health Restored", category: "Health" })
  ]
})
