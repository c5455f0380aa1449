/**
 * What a system under test looks like to the bench. Each runs in a process of its own, which emits and delivers, as a backend
 * does that has the worker in its process.
 */

/** Where a system finds what it needs. */
export interface Setting {
  /** URL of an empty PostgreSQL database of its own. */
  readonly database: string
  /** Port of a Redis server that is empty. */
  readonly redis: number | undefined
  /** An empty folder of its own. */
  readonly folder: string
  /** The endpoints of each event: a message of event `n` goes to all of `routes[n]`. */
  readonly routes: ReadonlyArray<ReadonlyArray<string>>
  /** What the scenario asks for beside: `queue-per-endpoint`, `one-commit-each`, … A system that does not know it ignores it. */
  readonly options: ReadonlyArray<string>
}

/** A message's payload, about 1 KB as JSON. */
export interface Payload {
  readonly id: string
  /** When it was emitted, in milliseconds of the machine's monotonic clock. */
  readonly at: number
  readonly severity: string
  readonly text: string
}

/** What is emitted. */
export interface Emission {
  readonly event: number
  readonly payload: Payload
}

/** A system that is set up, and delivers nothing before it is told to work. */
export interface Running {
  /** Stores one message; settles once it is durable. */
  readonly emit: (event: number, payload: Payload) => Promise<unknown>
  /** Stores many, as fast as the system can. */
  readonly fill: (event: number, payloads: ReadonlyArray<Payload>) => Promise<unknown>
  /** Emits from so many emitters at once, where the system has a way of its own to do so; else `emit` is called for each. */
  readonly emitAll?: (next: () => Emission | undefined, emitters: number) => Promise<unknown>
  /**
   * Runs a transaction of the caller's with a statement of its own; with a payload it emits in it. Where the system has
   * transactions to join.
   */
  readonly inTransaction?: (event: number, payload: Payload | undefined) => Promise<unknown>
  /** Begins to deliver. */
  readonly work: () => Promise<unknown>
  /** How many deliveries or messages are stored whose outcome is not. */
  readonly unfinished: () => Promise<number>
  readonly close: () => Promise<unknown>
  /** A server of the system beside PostgreSQL and Redis, by its process id. */
  readonly server?: number
}

/** A system. */
export interface System {
  readonly name: string
  /** What of its settings matters, in a line. */
  readonly settings: string
  /** Where its messages are: what holds its `fill` and `emit`. */
  readonly store: "postgres" | "redis" | "own"
  /** Makes in a database what `open` needs there; where it is left out, `open` does so. */
  readonly prepare?: (setting: Setting) => Promise<unknown>
  readonly open: (setting: Setting) => Promise<Running>
}
