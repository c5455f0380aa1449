/**
 * The admin key, which the operator gives to every runner: compared in constant time, whatever the lengths. An empty key opens
 * nothing.
 */
import { Context, Layer, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import type { Asker } from "../Access.ts"

/**
 * The admin key.
 *
 * @category services
 * @since 0.1.0
 */
export class AdminKey extends Context.Service<AdminKey, {
  readonly is: (key: Redacted.Redacted<string>) => boolean
  /** Who bears it. */
  readonly asker: Asker
  /** What tells it from another one, and is no help to guess it. */
  readonly print: string
}>()("hookline/http/AdminKey") {}

/**
 * Layer with the key.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: { readonly adminKey: Redacted.Redacted<string> }): Layer.Layer<AdminKey> => {
  const expected = digest(Redacted.value(options.adminKey))
  return Layer.succeed(AdminKey, {
    is: (key) => Redacted.value(key) !== "" && timingSafeEqual(digest(Redacted.value(key)), expected),
    asker: { actor: { kind: "admin-key", id: undefined, name: undefined }, scopes: ["admin"], tenantId: undefined },
    print: `admin ${digest(expected.toString("hex")).toString("hex").slice(0, 16)}`
  })
}

// --- internal ---

const digest = (text: string) => createHash("sha256").update(text).digest()
