import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
it.effect("works", () => Effect.sync(() => assert.strictEqual(process.version.slice(0, 3), "v24")))
