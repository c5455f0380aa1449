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
  // `Date.parse` finds a date in nearly any text, and reads one without a zone as local time.
  const date = fixdate.test(text) || rfc850.test(text) ? text : asctime.test(text) ? `${text} GMT` : undefined
  const at = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

// --- internal ---

// The three forms of a date that RFC 9110, section 5.6.7, has a recipient accept.
const fixdate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/u
const rfc850 = /^[A-Z][a-z]{2,5}day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/u
const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/u
