/**
 * No system at all: bare signed POSTs from memory, the bound of whatever delivers from one Node process.
 */
import { keyObject, post } from "../Post.ts"
import type { Payload, Running, System } from "../System.ts"

/** As many in flight as there are connections. */
const concurrency = 64

/** Bare signed POSTs; by the option `key-object` signed with a key that is made ready once. */
export const system: System = {
  name: "bare signed POSTs",
  settings: `undici Pool.dispatch, ${concurrency} in flight`,
  store: "own",
  open: async ({ options, routes }): Promise<Running> => {
    const waiting: Array<{ readonly url: string; readonly payload: Payload }> = []
    const secret = options.includes("key-object") ? keyObject : undefined
    let inFlight = 0
    let works = false
    const send = (event: number, payloads: ReadonlyArray<Payload>) => {
      for (const url of routes[event] ?? []) for (const payload of payloads) waiting.push({ url, payload })
      if (works) run()
    }
    const next = async () => {
      for (let one = waiting.pop(); one; one = waiting.pop()) {
        inFlight++
        await post(one.url, `msg_${one.payload.id}`, JSON.stringify(one.payload), secret)
        inFlight--
      }
    }
    const run = () => {
      void Promise.all(Array.from({ length: concurrency - inFlight }, next))
    }
    return {
      emit: async (event, payload) => send(event, [payload]),
      fill: async (event, payloads) => send(event, payloads),
      work: async () => {
        works = true
        run()
      },
      unfinished: async () => waiting.length + inFlight,
      close: async () => {}
    }
  }
}
