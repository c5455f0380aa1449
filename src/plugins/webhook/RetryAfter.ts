/**
 * The `Retry-After` header (RFC 9110, section 10.2.3): seconds, also with a fraction, or a date.
 */

/**
 * How long the endpoint asks to wait, in whole milliseconds, rounded up; undefined for what is neither seconds nor a date.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (value: string | undefined, nowMs: number): number | undefined => {
  const text = value?.trim() ?? ""
  if (/^\d{1,10}(\.\d{1,10})?$/u.test(text)) return Math.ceil(Number(text) * 1000)
  if (!/^[A-Z][a-z]{2,8},? /u.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}
