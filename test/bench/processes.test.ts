import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Child from "../../bench/Child.ts"
import * as Compiled from "../../bench/Compiled.ts"
import type { Receiver } from "../../bench/processes/receiver.ts"
import * as Postmaster from "../support/postmaster.ts"
import { exited, folder, program, until } from "../support/process.ts"

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error)

describe("a child that ends", () => {
  it("fails the call that it owes, and not the process that waits for something else first", async () => {
    Compiled.make()
    const child = Child.start<Receiver>("receiver")
    await child.call.port()
    const owed = child.call.received(1)
    // By then nobody has looked at it: a rejection that nobody handles fails the run.
    await child[Symbol.asyncDispose]()
    await new Promise(setImmediate)
    assert.include(await owed.then(() => "answered", messageOf), "receiver  ended")
    assert.include(await child.call.port().then(() => "answered", messageOf), "receiver has ended")
  }, 60_000)
})

/** The processes that have a folder among their arguments or work in it. */
const processesIn = (place: string) =>
  Fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/u.test(pid) &&
        (Fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(place) ||
          Fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(place))
    } catch {
      return false
    }
  })

/** The processes that a process has started. */
const childrenOf = (pid: number | undefined) =>
  Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter((child) => child !== "")

describe("the bench", () => {
  it.live(
    "leaves no process and no folder behind, also when it is interrupted, and twice",
    () =>
      Effect.gen(function*() {
        const place = yield* folder
        const made = () => Fs.readdirSync(place).map((name) => Path.join(place, name))
        // Where it leaves one behind, that fails the test and is ended all the same.
        yield* Effect.addFinalizer(() =>
          Effect.forEach(made(), (one) => Postmaster.end(Path.join(one, "postgres")), { discard: true })
        )
        const { child, output } = yield* program(["bench/main.ts", "--moment", "--only", "2"], { TMPDIR: place })
        yield* until(
          "it measures",
          Effect.sync(() => {
            assert.isNull(child.exitCode, output.text)
            return made().some((one) => Fs.readdirSync(one).some((name) => name.startsWith("hookline-")))
          }),
          3000
        )
        assert.isDefined(Postmaster.running(Path.join(made()[0] ?? "", "postgres")))
        const children = childrenOf(child.pid)
        assert.isNotEmpty(children)
        child.kill("SIGINT")
        child.kill("SIGTERM")
        assert.strictEqual(yield* exited(child), 130, output.text)
        assert.deepStrictEqual(Fs.readdirSync(place), [])
        assert.deepStrictEqual(processesIn(place), [])
        assert.deepStrictEqual(children.filter((pid) => Fs.existsSync(`/proc/${pid}`)), [])
      }),
    120_000
  )
})
