/**
 * Lists: what a query asks for, and what an answer holds of them.
 */
import { Schema, SchemaAST } from "effect"
import { defaults } from "../Limits.ts"
import { told } from "../Told.ts"
import { Name } from "./Shapes.ts"

/**
 * The query of a list: how many items, and where they begin.
 *
 * @category schemas
 * @since 0.1.0
 */
export const query = {
  limit: Schema.optionalKey(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: defaults.pageSize }))
  ),
  cursor: Schema.optionalKey(Name)
}

/**
 * What a query asks for of a list, apart from its filter.
 *
 * @category constructors
 * @since 0.1.0
 */
export const asked = (cursor: string | undefined, limit: number | undefined) => ({
  ...(cursor === undefined ? {} : { cursor }),
  ...(limit === undefined ? {} : { limit })
})

/**
 * A page of a list; its `nextCursor` asks for the next one, `null` says that there is none.
 *
 * @category schemas
 * @since 0.1.0
 */
export const of = <S extends Schema.Constraint>(item: S) =>
  Schema.Struct({
    items: Schema.Array(item).pipe(told("Newest first")),
    nextCursor: Schema.NullOr(Schema.String).pipe(told("Asks for the next page, as `cursor`; null on the last one"))
  }).annotate(named(item, "Page"))

/**
 * A list that is answered whole, in the form of one with pages.
 *
 * @category schemas
 * @since 0.1.0
 */
export const whole = <S extends Schema.Constraint>(item: S) =>
  Schema.Struct({
    items: Schema.Array(item).pipe(told("All of them")),
    nextCursor: Schema.Null.pipe(told("There is no further page"))
  }).annotate(named(item, "List"))

// --- internal ---

/** Lists of what has a name have one too. */
const named = (item: Schema.Constraint, suffix: string): { readonly identifier?: string } => {
  const name = SchemaAST.resolveIdentifier(item.ast)
  return name === undefined ? {} : { identifier: `${name}${suffix}` }
}
