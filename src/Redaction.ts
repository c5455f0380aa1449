/**
 * Texts from outside without the secrets that they repeat: other systems answer with what they got.
 */

/**
 * Makes what covers secrets in a text: as they are, inside JSON or a URL.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cover = (secrets: ReadonlyArray<string>): (text: string) => string => {
  // The longest first: a secret may be the beginning of another.
  const spellings = [...new Set(secrets.flatMap(spellingsOf))].filter((text) => text !== "").sort((a, b) =>
    b.length - a.length
  )
  return (text) => spellings.reduce((covered, spelling) => covered.replaceAll(spelling, "***"), text)
}

/**
 * As `cover`, and in what is Base64, as in Basic authentication: each word of a text is decoded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const coverEncoded = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const known = secrets.filter((secret) => secret !== "")
  const plain = cover(known)
  return (text) =>
    plain(text.replace(base64, (encoded) => {
      const decoded = Buffer.from(encoded, "base64").toString("utf8")
      return known.some((secret) => decoded.includes(secret)) ? "***" : encoded
    }))
}

// --- internal ---

const base64 = /[\w+/-]{4,}={0,2}/gu

const spellingsOf = (secret: string): ReadonlyArray<string> => {
  const json = JSON.stringify(secret).slice(1, -1)
  return [
    secret,
    json,
    // PHP escapes slashes.
    json.replaceAll("/", "\\/"),
    encodeURIComponent(secret.toWellFormed()),
    // Headers are sent in Latin-1, and answers are read as UTF-8.
    Buffer.from(secret, "latin1").toString("utf8")
  ]
}
