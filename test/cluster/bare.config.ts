/**
 * Plugins of a runner without the code that the others have.
 */
import { Layer } from "effect"

export default Layer.empty
