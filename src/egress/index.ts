/**
 * `hookline/egress`: the door to the outside on Node.
 */
export * as Egress from "./EgressNode.ts"
export * as Resolver from "./Resolver.ts"
