#!/usr/bin/env node
/**
 * The command line's process. A runner's begins anew before anything else is loaded, as that would be loaded twice.
 */
import { beginSmall } from "./Beginning.ts"

if (process.argv[2] === "start") beginSmall()

await import("./program.ts")
