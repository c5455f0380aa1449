/**
 * The words of a schema's property, which stand with it wherever it is described.
 */
import { Schema } from "effect"

/**
 * Says what a property is, for the description of the API.
 *
 * @category annotations
 * @since 0.1.0
 */
export const told = (description: string) => <S extends Schema.Top>(self: S): S["Rebuild"] =>
  Schema.annotateKey<S>({ description })(self)
