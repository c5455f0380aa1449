/**
 * What `hookline start --dev` says when it runs: where it listens, its key, and three commands to try it with.
 */
import { Effect, Redacted } from "effect"
import * as PayloadExample from "../PayloadExample.ts"
import { Registry } from "../Registry.ts"
import type { Settings } from "../Runner.ts"

/**
 * Where a runner listens; an IPv6 address stands in brackets.
 *
 * @category formatting
 * @since 0.1.0
 */
export const urlOf = ({ host, port }: Pick<Settings, "host" | "port">): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`

/**
 * The text. Commands find the key by themselves where `keyIsKnown`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const text = (settings: Pick<Settings, "adminKey" | "host" | "port">, keyIsKnown: boolean) =>
  Effect.map(firstEvent, (event): string => {
    const url = urlOf(settings)
    const key = Redacted.value(settings.adminKey)
    const runs = `
Hookline listens on ${url}
  admin key  ${key}
`
    if (!event) return `${runs}\nThe plugins bring no event yet: there is nothing to subscribe to.\n`
    // What the commands assume by themselves need not be said.
    const there = [
      ...(url === "http://127.0.0.1:4680" ? [] : [`--url ${url}`]),
      ...(keyIsKnown ? [] : [`--key ${key}`])
    ].map((flag) => ` ${flag}`).join("")
    const payload = JSON.stringify(PayloadExample.fromJsonSchema(event.payloadSchema))
    return `${runs}
Try it, in a second terminal:
  1. Receive:    ${command} listen
  2. Subscribe:  ${command} subscribe http://127.0.0.1:4690/ --events '${event.pluginId}.*'${there}
  3. Emit:       ${command} emit ${event.eventId}${there} \\
                   --payload '${payload.replaceAll("'", "'\\''")}'
`
  })

// --- internal ---

/** How the command is run here: of a package that was installed, or in this repository. */
const command = import.meta.url.includes("/node_modules/") ? "npx hookline" : "npm run -s hookline --"

/** The first event of the plugins; they may bring none. */
const firstEvent = Effect.gen(function*() {
  const registry = yield* Registry
  const [first] = (yield* registry.plugins).flatMap(({ events, pluginId }) =>
    events.map(({ hook }) => `${pluginId}.${hook.id}`)
  )
  return first === undefined ? undefined : yield* registry.event(first)
})
