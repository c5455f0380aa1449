import { Layer } from "effect"
import { HealthcheckPlugin } from "./healthcheck.ts"
import { IncidentPlugin } from "./incident.ts"
import { MaintenancePlugin } from "./maintenance.ts"

export default Layer.mergeAll(IncidentPlugin, MaintenancePlugin, HealthcheckPlugin)
