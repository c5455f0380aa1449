/**
 * Who asks, and what that one may: the rules behind every answer of the HTTP API.
 */
import { Context, type Effect } from "effect"
import type { Actor } from "./AuditEntry.ts"
import type { Scope } from "./Key.ts"

/**
 * Who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asker {
  readonly actor: Actor
  readonly scopes: ReadonlyArray<Scope>
  /** The only tenant whose things it sees; everybody's where undefined. */
  readonly tenantId: string | undefined
}

/**
 * Who asks, for the time of one request.
 *
 * @category services
 * @since 0.1.0
 */
export class Principal extends Context.Service<Principal, Asker>()("hookline/Access/Principal") {}

/**
 * Whether whoever asks would still be let in, for answers that go on: keys are revoked and end, and so do sessions.
 *
 * @category services
 * @since 0.1.0
 */
export class Standing extends Context.Service<Standing, {
  /** True too where nobody can tell now. */
  readonly isGood: Effect.Effect<boolean>
}>()("hookline/Access/Standing") {}

/**
 * Who does what is done, for the audit log: Hookline itself where nobody asked.
 *
 * **Details**
 *
 * A backend names whom it acts for around what it changes:
 * `Effect.provideService(Access.CurrentActor, { kind: "program", id: "ada", name: "Ada" })`.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentActor = Context.Reference<Actor>("hookline/Access/CurrentActor", {
  defaultValue: () => ({ kind: "hookline", id: undefined, name: undefined })
})

/**
 * The only tenant that whoever asks may see, by whom shares of what a runner has are counted; undefined where it is not bound
 * to one, or nobody asks.
 *
 * @category services
 * @since 0.1.0
 */
export const BoundTenant = Context.Reference<string | undefined>("hookline/Access/BoundTenant", {
  defaultValue: () => undefined
})

/**
 * Whether one of the scopes allows what needs `needed`.
 *
 * @category guards
 * @since 0.1.0
 */
export const may = ({ scopes }: Pick<Asker, "scopes">, needed: Scope): boolean =>
  scopes.includes(needed) || scopes.includes("admin") || (needed === "read" && scopes.includes("manage"))

/**
 * Whether somebody sees what belongs to a tenant.
 *
 * @category guards
 * @since 0.1.0
 */
export const sees = (asker: Pick<Asker, "tenantId">, tenantId: string): boolean =>
  asker.tenantId === undefined || asker.tenantId === tenantId
