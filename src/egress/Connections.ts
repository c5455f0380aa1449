/**
 * The connections to one origin, each of them a client of undici's. The one that was used last is used next, and a request that goes
 * out as another is answered goes on its connection: undici then neither sets a timer for an idle connection nor asks whether it still
 * stands, as its pool, which hands out no connection before it is idle, has it do for each request.
 *
 * A connection that has answered once rests before it is used again: there are servers that close it then without having said so. One
 * that has answered twice is kept open by its server, and is used again at once.
 */
import { Client } from "undici"

/**
 * The connections to one origin.
 *
 * @category models
 * @since 0.1.0
 */
export class Connections {
  readonly #make: () => Client
  readonly #rest: (call: () => void) => void
  /** How often each has answered. */
  readonly #answers = new Map<Client, number>()
  /** Those that nothing is under way on, the one that is used next at the end. */
  readonly #idle: Array<Client> = []
  /** Those that rest, the one that has for the longest time first. */
  readonly #resting: Array<Client> = []
  #isClosed = false

  /** `rest` calls when a connection has rested. */
  constructor(origin: string, options: Client.Options, rest: (call: () => void) => void) {
    this.#make = () => new Client(origin, options)
    this.#rest = rest
  }

  /** How many are open. */
  get connected(): number {
    let found = 0
    for (const { stats } of this.#answers.keys()) if (stats.connected) found++
    return found
  }

  /** Takes one to send a request on; it opens when it is used. */
  take(): Client {
    return this.#idle.pop() ?? this.#rested() ?? this.#open()
  }

  /** Gives one back whose request was answered as a whole. */
  giveBack(client: Client): void {
    const answers = this.#answers.get(client)
    if (answers === undefined) return
    this.#answers.set(client, answers + 1)
    if (answers > 0) this.#idle.push(client)
    else {
      this.#resting.push(client)
      this.#rest(() => {
        if (remove(this.#resting, client)) this.#idle.unshift(client)
      })
    }
  }

  /** Closes one with what is under way on it, when undici's call that this may be in has ended. */
  drop(client: Client): void {
    if (this.#answers.delete(client)) queueMicrotask(() => void client.destroy())
  }

  /** Closes all of them; one that is taken afterwards closes with what it was taken for. */
  async close(): Promise<void> {
    this.#isClosed = true
    const all = [...this.#answers.keys()]
    for (const some of [this.#idle, this.#resting]) some.length = 0
    this.#answers.clear()
    await Promise.all(all.map((client) => client.destroy()))
  }

  /** One that has rested for as long as it can be spared: no more of them rest than are in use. */
  #rested(): Client | undefined {
    const used = this.#answers.size - this.#idle.length - this.#resting.length
    return this.#resting.length > Math.max(1, used) ? this.#resting.shift() : undefined
  }

  #open(): Client {
    const client = this.#make()
    this.#answers.set(client, 0)
    client.on("disconnect", () => {
      if (remove(this.#idle, client) || remove(this.#resting, client)) this.drop(client)
      // What waits on it goes out on another connection, which has answered nothing.
      else if (this.#answers.has(client)) this.#answers.set(client, 0)
    })
    if (this.#isClosed) this.drop(client)
    return client
  }
}

// --- internal ---

/** Takes one out; tells whether it was there. */
const remove = (some: Array<Client>, client: Client): boolean => {
  const at = some.indexOf(client)
  if (at >= 0) some.splice(at, 1)
  return at >= 0
}
