/**
 * The audit log as data: who changed what, and how it was before and after.
 */
import type { Schema } from "effect"
import type { AuditId } from "./Id.ts"

/**
 * Who does something: the bearer of a key, a program that has Hookline in it, or Hookline itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Actor {
  readonly kind: "key" | "admin-key" | "program" | "hookline"
  /** The key's, or what a program says for whom it does it. */
  readonly id: string | undefined
  readonly name: string | undefined
}

/**
 * A change: of which resource, as `subscription.update`, with the fields that differ.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly action: string
  readonly resourceId: string
  /** Whose resource it is; `allTenants` where it is nobody's. */
  readonly tenantId: string
  /** Without secrets. */
  readonly before: Fields | undefined
  readonly after: Fields | undefined
}

/** @category models @since 0.1.0 */
export type Fields = { readonly [name: string]: Schema.Json }

/** @category models @since 0.1.0 */
export interface AuditEntry extends Change {
  readonly id: AuditId
  readonly actor: Actor
}

/**
 * What of two states of a resource differs.
 *
 * @category conversions
 * @since 0.1.0
 */
export const difference = (before: Fields, after: Fields): Pick<Change, "before" | "after"> => {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) =>
    JSON.stringify(before[name]) !== JSON.stringify(after[name])
  )
  const only = (fields: Fields) =>
    Object.fromEntries(names.flatMap((name) => fields[name] === undefined ? [] : [[name, fields[name]]]))
  return { before: only(before), after: only(after) }
}
