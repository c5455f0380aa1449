/**
 * Hookline's own hooks: what happens to the plugins and the runner of this process. They are told in this process alone, to
 * `local` handlers and `Hook.stream`.
 */
import { Schema } from "effect"
import * as Hook from "./Hook.ts"

/**
 * The id of the plugin that brings them.
 *
 * @category constants
 * @since 0.1.0
 */
export const pluginId = "hookline"

const OfPlugin = Schema.Struct({ pluginId: Schema.String })

/**
 * A plugin is up, and so are all others: told once for each, in the order of their registration, when `Hookline.layer` is up.
 *
 * @category hooks
 * @since 0.1.0
 */
export const PluginLoaded = Hook.make("plugin.loaded", { payload: OfPlugin })

/**
 * The program stops: told once, while everything still works, before `PluginStopping`.
 *
 * **Gotchas**
 *
 * Handlers get `Limits.drainTimeoutMs` together; a process that is killed tells nothing.
 *
 * @category hooks
 * @since 0.1.0
 */
export const RunnerStopping = Hook.make("runner.stopping", { payload: Schema.Struct({}) })

/**
 * A plugin is about to stop: told once for each, in the reverse order of their registration, while everything still works.
 *
 * **Gotchas**
 *
 * As of `RunnerStopping`.
 *
 * @category hooks
 * @since 0.1.0
 */
export const PluginStopping = Hook.make("plugin.stopping", { payload: OfPlugin })

/**
 * All of them.
 *
 * @category hooks
 * @since 0.1.0
 */
export const hooks: ReadonlyArray<Hook.AnyHook> = [PluginLoaded, RunnerStopping, PluginStopping]
