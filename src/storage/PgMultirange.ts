/**
 * Numbers as PostgreSQL's multirange: many that follow one another take the place of two, and whether one is among them is found in few
 * steps.
 */

/**
 * Those numbers, integers in any order, as the text of an `int8multirange`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const of = (numbers: ReadonlyArray<number>): string => {
  const ranges: Array<string> = []
  const sorted = numbers.toSorted((a, b) => a - b)
  let [from, to] = [sorted[0], sorted[0]]
  for (const number of sorted) {
    if (to !== undefined && number > to + 1) {
      ranges.push(`[${from},${to}]`)
      from = number
    }
    to = number
  }
  if (to !== undefined) ranges.push(`[${from},${to}]`)
  return `{${ranges.join(",")}}`
}
