/**
 * What was measured: values by measure and system, a set for each round.
 */

/** What one run of one scenario says. */
export type Values = Readonly<Record<string, number>>

/** A run that did not come to its end. */
export interface Failure {
  readonly measure: string
  readonly system: string
  readonly message: string
}

/** A system's medians in a measure. */
export interface Row {
  readonly measure: string
  readonly system: string
  readonly rounds: number
  readonly values: Values
}

/** All that was measured. */
export interface Results {
  readonly add: (measure: string, system: string, values: Values) => void
  readonly fail: (failure: Failure) => void
  readonly failures: ReadonlyArray<Failure>
  /** The median over the rounds. */
  readonly median: (measure: string, system: string, value: string) => number | undefined
  readonly rows: () => ReadonlyArray<Row>
}

/** The value in the middle, of two the lower one's mean with the upper. */
export const middle = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const at = (n: number) => sorted[Math.floor(n)] ?? Number.NaN
  return sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2
}

export const make = (): Results => {
  const runs = new Map<string, { readonly measure: string; readonly system: string; readonly all: Array<Values> }>()
  const failures: Array<Failure> = []
  const keyOf = (measure: string, system: string) => `${measure} ${system}`
  return {
    add: (measure, system, values) => {
      const key = keyOf(measure, system)
      const found = runs.get(key)
      if (found) found.all.push(values)
      else runs.set(key, { measure, system, all: [values] })
    },
    fail: (failure) => {
      failures.push(failure)
    },
    failures,
    median: (measure, system, value) => {
      const found = (runs.get(keyOf(measure, system))?.all ?? []).flatMap((values) => values[value] ?? [])
      return found.length === 0 ? undefined : middle(found)
    },
    rows: () =>
      [...runs.values()].map(({ all, measure, system }) => ({
        measure,
        system,
        rounds: all.length,
        values: Object.fromEntries(
          Object.keys(all[0] ?? {}).map((name) => [name, middle(all.flatMap((values) => values[name] ?? []))])
        )
      }))
  }
}
