/**
 * The nearest known name to one that is not known, for errors that say what was probably meant.
 */

/**
 * Says `; did you mean "…"?` where a name is near enough, and nothing otherwise.
 *
 * @category conversions
 * @since 0.1.0
 */
export const suggestion = (name: string, known: ReadonlyArray<string>): string => {
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(name, candidate)
    if (distance < (best?.distance ?? Math.ceil(candidate.length / 2))) best = { name: candidate, distance }
  }
  return best ? `; did you mean "${best.name}"?` : ""
}

// --- internal ---

/** Levenshtein's distance, a row at a time. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substituted))
    }
    row = next
  }
  return row[b.length] ?? 0
}
