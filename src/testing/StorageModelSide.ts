/**
 * One side of the comparison of two storages: the storage, the owners that it made, and its answers in words that both
 * sides share. Numbers that each storage draws for itself (epochs, versions, places in the order of messages) are told by
 * when they were first seen; times are told apart where the model gave them, and else only as past, now or to come.
 */
import { Effect, Option, type Schema } from "effect"
import type { Owner, Storage } from "../Storage.ts"
import { hourMs } from "./StorageSuiteWorld.ts"

/** @category models @since 0.1.0 */
export type Seam = Storage["Service"]

/**
 * What both sides call the same: when the sequence began, the times and ids that were given to them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Names {
  readonly nowMs: number
  readonly times: Map<number, string>
  readonly ids: Map<string, string>
}

/**
 * A side.
 *
 * @category models
 * @since 0.1.0
 */
export class Side {
  readonly storage: Seam
  /** The owners of each worker group so far, the present one last. */
  readonly owners: ReadonlyArray<Array<Owner>>
  readonly #names: Names
  readonly #seen = new Map<string, Map<number, string>>()

  constructor(storage: Seam, groups: number, names: Names) {
    this.storage = storage
    this.owners = Array.from({ length: groups }, () => [])
    this.#names = names
  }

  /** The present owner of a group, or the one before. */
  owner(group: number, former = false): Owner {
    const owner = this.owners[group]?.at(former ? -2 : -1)
    if (!owner) throw new Error(`nobody owned group ${group} yet`)
    return owner
  }

  /** What a verb answers, in words: an error is told by its tag. */
  answer<R>(
    verb: (side: Side) => Effect.Effect<unknown, { readonly _tag: string }, R>
  ): Effect.Effect<Schema.Json, never, R> {
    return Effect.match(verb(this), {
      onSuccess: (answer) => this.#told("", answer),
      onFailure: (error) => ({ error: error._tag })
    })
  }

  #told(name: string, value: unknown): Schema.Json {
    if (typeof value === "number") return this.#number(name, value)
    if (typeof value === "string") return this.#names.ids.get(value) ?? value
    if (typeof value === "boolean") return value
    if (Option.isOption(value)) {
      return Option.match(value, {
        onNone: () => null,
        onSome: (some) => this.#told(name, some)
      })
    }
    if (Array.isArray(value)) return value.map((item) => this.#told(name, item))
    if (typeof value !== "object" || value === null) return null
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) => item === undefined ? [] : [[key, this.#told(key, item)]])
    )
  }

  #number(name: string, value: number): number | string {
    if (/atMs$/iu.test(name)) return this.#time(value)
    const kind = name === "subscriptionVersion" ? "version" : name
    if (kind !== "epoch" && kind !== "version" && kind !== "seq") return value
    const seen = this.#seen.get(kind) ?? new Map<number, string>()
    this.#seen.set(kind, seen)
    const word = seen.get(value) ?? `${kind} ${seen.size + 1}`
    seen.set(value, word)
    return word
  }

  #time(ms: number): string {
    const { nowMs, times } = this.#names
    return times.get(ms) ?? (Math.abs(ms - nowMs) < hourMs ? "now" : ms < nowMs ? "past" : "to come")
  }
}

/**
 * Finds where two answers differ first, and says how.
 *
 * @category conversions
 * @since 0.1.0
 */
export const difference = (
  expected: Schema.Json | undefined,
  found: Schema.Json | undefined,
  path: string
): string | undefined => {
  if (isComposite(expected) && isComposite(found)) {
    const [left, right] = [new Map(Object.entries(expected)), new Map(Object.entries(found))]
    if (!Array.isArray(expected) || left.size === right.size) {
      for (const key of new Set([...left.keys(), ...right.keys()])) {
        const inner = difference(left.get(key), right.get(key), `${path}.${key}`)
        if (inner !== undefined) return inner
      }
      return undefined
    }
  }
  return expected === found
    ? undefined
    : `${path} is\n  ${JSON.stringify(expected)}\nin memory and\n  ${JSON.stringify(found)}`
}

// --- internal ---

const isComposite = (value: Schema.Json | undefined): value is Schema.JsonObject | Schema.JsonArray =>
  typeof value === "object" && value !== null
