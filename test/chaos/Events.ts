/**
 * The events of the run, by name: what the runners' plugin defines and the emitters emit.
 */

export const pluginId = "chaos"

export const hookIds = Array.from({ length: 16 }, (_, n) => `event${n}`)

export const eventIds = hookIds.map((id) => `${pluginId}.${id}`)

export const allEvents = `${pluginId}.*`

export const groupOf = (eventId: string): string => `integration.${eventId}`

/** What messages are ordered by: the emitter that emits one after the other. */
export const orderOf = (key: string): string => key.split("-")[0] ?? key

/** The header in which a request says which process sent it, and the variable that tells the process. */
export const processHeader = "x-process"
export const processVariable = "CHAOS_PROCESS"
