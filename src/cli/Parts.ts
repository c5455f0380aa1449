/**
 * Lists in one text, with commas between.
 */

/**
 * The parts of a list, without spaces around them, and without those that are empty.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parts = (text: string): ReadonlyArray<string> =>
  text.split(",").map((part) => part.trim()).filter((part) => part !== "")
