import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** What such a process is started with. */
const small = ["--max-semi-space-size=16", "--no-allocation-site-pretenuring"]

/** A process that begins small, if it may, and tells what it was started as, and under which id. */
const begun = (execArgv: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-heap-"))
  try {
    const file = Path.join(folder, "main.mjs")
    Fs.writeFileSync(
      file,
      `import { appendFileSync } from "node:fs"
      import { beginSmall } from ${JSON.stringify(Path.resolve("src/cli/Beginning.ts"))}
      appendFileSync(${JSON.stringify(Path.join(folder, "pids"))}, process.pid + " ")
      beginSmall()
      console.log(JSON.stringify([process.execArgv, process.argv.slice(2), process.env.MALLOC_ARENA_MAX]))`
    )
    const told: unknown = JSON.parse(
      execFileSync(process.execPath, [...execArgv, file, "a b", "--c"], {
        encoding: "utf8",
        env: { ...process.env, ...env }
      })
    )
    return { told, pids: Fs.readFileSync(Path.join(folder, "pids"), "utf8").trim().split(" ") }
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

describe("a runner's process", () => {
  it("begins anew with room for little that is new, once, with its arguments and its id", () => {
    const { pids, told } = begun(["--no-deprecation"])
    assert.deepStrictEqual(told, [[...small, "--no-deprecation"], ["a b", "--c"], "2"])
    assert.deepStrictEqual([pids.length, new Set(pids).size], [2, 1])
  })

  it("is left as it is where whoever started it said how large its heap may be", () => {
    for (const said of ["--max-old-space-size=512", "--max_semi_space_size=64"]) {
      assert.deepStrictEqual(begun([said]).told, [[said], ["a b", "--c"], null])
    }
    const { pids } = begun([], { NODE_OPTIONS: "--max-old-space-size=512" })
    assert.strictEqual(pids.length, 1)
  })

  it("keeps what is said of memory to the C library", () => {
    const { told } = begun([], { MALLOC_ARENA_MAX: "4" })
    assert.deepStrictEqual(told, [small, ["a b", "--c"], "4"])
  })
})
