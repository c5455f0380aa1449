/**
 * The plugins of a configuration file: the Layer that is its default export.
 */
import { Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import type { Egress } from "../Egress.ts"
import type { PluginError, Registry } from "../Registry.ts"

/**
 * The configuration file can't be used; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigFileRefused extends Schema.TaggedError<ConfigFileRefused>()("ConfigFileRefused", {
  message: Schema.String
}) {}

/**
 * Plugins from a file: what goes wrong while they are built is told as one error.
 *
 * @category models
 * @since 0.1.0
 */
export type Plugins = Layer.Layer<never, ConfigFileRefused | PluginError, Registry | Egress>

const names = ["hookline.config.ts", "hookline.config.js", "hookline.config.mjs"]

/**
 * The file in this folder that is loaded where none is named.
 *
 * @category constructors
 * @since 0.1.0
 */
export const find = (): string | undefined => names.find((name) => Fs.existsSync(name))

/**
 * Loads the plugins of the file, or of `hookline.config.ts` in this folder where there is one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function*(given: string | undefined) {
  const path = given ?? find()
  if (path === undefined) {
    return yield* new ConfigFileRefused({
      message:
        "There is no hookline.config.ts in this folder: make one whose default export is a Layer of plugins, or " +
        "name it with --config."
    })
  }
  const file = Path.resolve(path)
  if (!Fs.existsSync(file)) {
    return yield* new ConfigFileRefused({ message: `There is no file ${path}: name your plugins' file with --config.` })
  }
  const refuse = (error: unknown) =>
    new ConfigFileRefused({ message: `${path}: ${error instanceof Error ? error.message : String(error)}` })
  const module: { readonly default?: unknown } = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(file).href),
    catch: refuse
  })
  const plugins = module.default
  if (!isPlugins(plugins)) {
    return yield* new ConfigFileRefused({
      message: `${path}: its default export must be a Layer of plugins, as in ` +
        "`export default Layer.mergeAll(IncidentPlugin, MaintenancePlugin)`."
    })
  }
  // A plugin may throw while it is built.
  return Layer.catchCause(plugins, (cause) => {
    const failure = cause.reasons.find((reason) => reason._tag === "Fail" || reason._tag === "Die")
    const error = failure?._tag === "Fail" ? failure.error : failure?._tag === "Die" ? failure.defect : cause
    return Layer.effectDiscard(Effect.fail(refuse(error)))
  })
})

// --- internal ---

const isPlugins = (value: unknown): value is Plugins => Layer.isLayer(value)
