/**
 * The figures, as ratios of one run, and whether they hold: pure.
 */

/** A part of a figure: what was measured, and what it has to be. */
export interface Part {
  readonly name: string
  readonly value: number
  readonly floor: number
  readonly goal: number
  /** Whether more is better; less is where false. */
  readonly more: boolean
}

/** A figure as it is printed. */
export interface Figure {
  readonly figure: number
  readonly name: string
  readonly value: number
  readonly floor: number
  readonly goal: number
  readonly holdsFloor: boolean
  readonly holdsGoal: boolean
  readonly parts?: ReadonlyArray<Omit<Part, "more"> & { readonly holdsFloor: boolean; readonly holdsGoal: boolean }>
}

const holds = ({ more, value }: Part, bound: number): boolean => more ? value >= bound : value <= bound

/** How far a part is above its floor, as a factor; below 1 it does not hold. */
const margin = ({ floor, more, value }: Part): number =>
  floor === 0 ? Number.POSITIVE_INFINITY : more ? value / floor : floor / value

/** One whose floor is 0 has a goal only. */
const holdsFloor = (part: Part): boolean => part.floor === 0 || holds(part, part.floor)

/** A figure of its parts: it holds when all hold; its value is that of the part which is nearest to its floor or furthest below. */
export const figure = (number: number, name: string, parts: ReadonlyArray<Part>): Figure | undefined => {
  const [nearest] = parts.toSorted((a, b) => margin(a) - margin(b))
  if (!nearest) return undefined
  return {
    figure: number,
    name,
    value: rounded(nearest.value),
    floor: nearest.floor,
    goal: nearest.goal,
    holdsFloor: parts.every(holdsFloor),
    holdsGoal: parts.every((part) => holds(part, part.goal)),
    ...(parts.length === 1 ? {} : {
      parts: parts.map((part) => ({
        name: part.name,
        value: rounded(part.value),
        floor: part.floor,
        goal: part.goal,
        holdsFloor: holdsFloor(part),
        holdsGoal: holds(part, part.goal)
      }))
    })
  }
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000
