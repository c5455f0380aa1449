/**
 * What the queues among the peers have in common: a job is one message to one endpoint.
 */
import { deliver as send } from "../Post.ts"
import type { Payload, Setting } from "../System.ts"

/** One message to one endpoint, as it is stored. */
export interface Job {
  readonly url: string
  readonly payload: Payload
}

/** Deliveries in flight, as many as Hookline has for one origin. */
export const concurrency = 64

/** How often a delivery is tried. */
export const attempts = 5

/** Sends a job's message with the job's id. */
export const deliver = (id: string, { payload, url }: Job): Promise<void> => send(url, id, payload)

/** A queue: its endpoints, and how many of its deliveries may be in flight. */
export interface Queue {
  readonly name: string
  readonly concurrency: number
}

/** Which queue an endpoint has: one for all, or one for each where the scenario asks for that. */
export interface Queues {
  readonly all: ReadonlyArray<Queue>
  readonly of: (url: string) => string
  /** The jobs of an event's messages. */
  readonly jobs: (event: number, payloads: ReadonlyArray<Payload>) => ReadonlyArray<Job>
}

/** Least deliveries in flight of a queue that has an endpoint to itself. */
const leastConcurrency = 6

export const queues = ({ options, routes }: Pick<Setting, "options" | "routes">): Queues => {
  const jobs: Queues["jobs"] = (event, payloads) => {
    const urls = routes[event]
    if (!urls) throw new Error(`There is no event ${event}`)
    return payloads.flatMap((payload) => urls.map((url) => ({ url, payload })))
  }
  if (!options.includes("queue-per-endpoint")) {
    return { all: [{ name: "deliver", concurrency }], of: () => "deliver", jobs }
  }
  const names = new Map([...new Set(routes.flat())].map((url, n) => [url, `deliver-${n}`] as const))
  const share = Math.max(leastConcurrency, Math.floor(concurrency / names.size))
  return {
    all: [...names.values()].map((name) => ({ name, concurrency: share })),
    of: (url) => {
      const name = names.get(url)
      if (name === undefined) throw new Error(`No queue has ${url}`)
      return name
    },
    jobs
  }
}
