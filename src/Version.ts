/**
 * The version of this package.
 */

/**
 * As in `package.json`.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "0.1.0"
