/**
 * Where the secrets of a configuration are sent. A stored secret stays with the address that it was given for: whoever may
 * change a configuration, and does not know its secrets, must not learn them by having them sent to a host of his.
 */
import type { Schema, SchemaAST } from "effect"
import * as SchemaErrors from "./SchemaErrors.ts"
import { chain, encoded, isAnnotated, isRecord, locate, placeOf } from "./SchemaPlaces.ts"
import * as SecretFields from "./SecretFields.ts"

/**
 * A stored secret that a change would send to another address.
 *
 * @category models
 * @since 0.1.0
 */
export interface Misdirected {
  readonly secret: ReadonlyArray<string | number>
  readonly address: ReadonlyArray<string | number>
}

/**
 * Why a change is refused that would send a stored secret elsewhere.
 *
 * @category conversions
 * @since 0.1.0
 */
export const refusal = ({ address, secret }: Misdirected): { readonly path: string; readonly message: string } => ({
  path: SchemaErrors.formatPath(["config", ...secret]),
  message: `Expected the secret again, or null to take it away, as ${
    SchemaErrors.formatPath(["config", ...address])
  } changes: what is stored stays with the address that it was given for`
})

/**
 * The first secret that a change keeps though it changes an address; undefined where there is none.
 *
 * **Details**
 *
 * Addresses are texts that begin like a URL, wherever they are, of which the scheme, host and port count; and whatever its
 * schema annotates with `address: true`, as a whole where it is no URL. What is annotated with `address: false` is none.
 * Of a template that says its host itself that host counts, else all of it. Secrets that are annotated with `unsent` go nowhere.
 *
 * @category combinators
 * @since 0.1.0
 */
export const misdirected = (
  schema: Schema.Constraint,
  { after, before, change }: {
    readonly before: Schema.Json
    /** What was asked for: a secret that it has is known to whoever asks. */
    readonly change: Schema.Json
    readonly after: Schema.Json
  }
): Misdirected | undefined => {
  const kept = SecretFields.sent(schema, after).find(({ path }) => !isGiven(at(change, path)))
  if (kept === undefined) return undefined
  const address = changedAddress(schema, before, after)
  return address && { secret: kept.path, address }
}

// --- internal ---

type Path = ReadonlyArray<string | number>

const isGiven = (value: Schema.Json | undefined): boolean => typeof value === "string" && value !== ""

const at = (value: Schema.Json, path: Path): Schema.Json | undefined => {
  let found: Schema.Json | undefined = value
  for (const name of path) {
    if (found === undefined) return undefined
    if (typeof name === "number") found = Array.isArray(found) ? found[name] : undefined
    else found = isRecord(found) && Object.hasOwn(found, name) ? found[name] : undefined
  }
  return found
}

/** The first address that is another one afterwards, or was none before; what is left out sends nothing elsewhere. */
const changedAddress = (schema: Schema.Constraint, before: Schema.Json, after: Schema.Json): Path | undefined => {
  const places = Map.groupBy(locate(schema, after, isJudged), ({ name }) => name)
  const visit = (value: Schema.Json, path: Path): Path | undefined => {
    const schemas = places.get(placeOf(path)) ?? []
    const earlier = at(before, path)
    if (schemas.some(({ ast }) => is(ast, true))) return targetOf(value) === targetOf(earlier) ? undefined : path
    if (schemas.length > 0 && schemas.every(({ ast }) => is(ast, false))) return undefined
    if (typeof value === "string") {
      const counts = isUrl(value) || (typeof earlier === "string" && isUrl(earlier))
      return counts && targetOf(value) !== targetOf(earlier) ? path : undefined
    }
    const inner: ReadonlyArray<readonly [string | number, Schema.Json]> = Array.isArray(value)
      ? [...value.entries()]
      : isRecord(value)
      ? Object.entries(value)
      : []
    for (const [name, item] of inner) {
      if (typeof name === "string" && isUrl(name) && at(before, [...path, name]) === undefined) return [...path, name]
      const found = visit(item, [...path, name])
      if (found) return found
    }
    return undefined
  }
  return visit(after, [])
}

/** Texts, and what says itself whether it is an address. */
const isJudged = (ast: SchemaAST.AST): boolean =>
  is(ast, true) || is(ast, false) || !["Suspend", "Union", "Objects", "Arrays"].includes(encoded(ast)._tag)

const is = (ast: SchemaAST.AST, value: boolean): boolean => chain(ast).some((one) => isAnnotated(one, "address", value))

/** What a URL's reader passes over: control characters and spaces; and what is trimmed before. */
const leading = /^[\0-\x20\s]+/u

/** As a URL's reader sees it, which drops tabs and line breaks, and takes those that need an authority without slashes too. */
const isUrl = (text: string): boolean =>
  /^(https?|wss?|ftp):|^[a-z][a-z0-9+.-]*:[\\/]{2}/iu.test(text.replace(/[\t\n\r]/gu, "").replace(leading, ""))

/**
 * What of an address says where it leads to: all of it, where what looks like a user's name may be a template's way to write
 * another host.
 */
const targetOf = (value: Schema.Json | undefined): string => {
  const url = typeof value === "string" && isUrl(value) ? URL.parse(value) : null
  return url === null || url.username !== "" || url.password !== ""
    ? JSON.stringify(value) ?? ""
    : `${url.protocol}//${url.host}`
}
