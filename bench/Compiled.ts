/**
 * The processes that are measured, compiled as the package is: what Node needs to run TypeScript is neither in their memory nor in
 * the time they take.
 */
import { execFileSync } from "node:child_process"
import * as Path from "node:path"

const here = import.meta.dirname

/** Compiles them, where something has changed. */
export const make = (): void => {
  execFileSync(Path.join(here, "../node_modules/.bin/tsc"), ["--project", here], { stdio: ["ignore", 2, 2] })
}

/** Where a module of the bench is to be run from: those of the peers, which have packages of their own, as they are. */
export const fileOf = (module: string): string => {
  const path = Path.relative(here, Path.resolve(module))
  return path.startsWith("peers") ? Path.resolve(module) : Path.join(here, "dist/bench", path.replace(/\.ts$/u, ".js"))
}
