/**
 * A child process that answers calls.
 */
import { type ChildProcess, fork } from "node:child_process"
import * as Path from "node:path"
import * as Compiled from "./Compiled.ts"

/** How long a child may take to end by itself, in milliseconds. */
const endMs = 2000

interface Answer {
  readonly call: number
  readonly value?: unknown
  readonly error?: string
}

const isAnswer = (message: unknown): message is Answer =>
  typeof message === "object" && message !== null && "call" in message && typeof message.call === "number"

/** What a child answers to; the same type on both sides. */
export type Calls = { readonly [name: string]: (...args: ReadonlyArray<never>) => unknown }

type Called<C extends Calls> = {
  readonly [Name in keyof C]: (...args: Parameters<C[Name]>) => Promise<Awaited<ReturnType<C[Name]>>>
}

/** A running child. */
export interface Child<C extends Calls> extends AsyncDisposable {
  readonly pid: number
  readonly call: Called<C>
}

/** What a process is told when it starts. */
export interface Started {
  readonly execArgv?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** Starts `processes/<name>.ts`, compiled; it is ended when it is disposed of, or when this process ends. */
export const start = <C extends Calls>(
  name: string,
  args: ReadonlyArray<string> = [],
  { env, execArgv = [] }: Started = {}
): Child<C> => {
  const file = Compiled.fileOf(Path.join(import.meta.dirname, "processes", `${name}.ts`))
  const child: ChildProcess = fork(file, [...args], {
    execArgv: [...execArgv],
    env: { ...process.env, ...env },
    serialization: "advanced",
    // What it logs goes where progress does: what is measured has stdout to itself.
    stdio: ["ignore", 2, 2, "ipc"]
  })
  let calls = 0
  const waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  const failAll = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  child.on("message", (message) => {
    if (!isAnswer(message)) return
    const call = waiting.get(message.call)
    waiting.delete(message.call)
    if (message.error === undefined) call?.resolve(message.value)
    else call?.reject(new Error(`${name}: ${message.error}`))
  })
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      failAll(new Error(`${name} ${args.join(" ")} ended (${signal ?? code})`))
      resolve()
    })
  })
  child.on("error", failAll)
  // A child that loses its parent ends by itself, and with it the servers that it started.
  const end = () => {
    if (child.connected) child.disconnect()
  }
  process.once("exit", end)
  const call = new Proxy({}, {
    get: (_, verb) => (...args: ReadonlyArray<unknown>) => {
      const answer = new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error(`${name} has ended`))
        const n = calls++
        waiting.set(n, { resolve, reject })
        child.send({ call: n, verb, args })
      })
      // Who asked may wait for something else first: a failure that nobody looks at yet would end this process.
      answer.catch(() => {})
      return answer
    }
  }) as Called<C>
  return {
    pid: child.pid ?? 0,
    call,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", end)
      end()
      const timer = setTimeout(() => child.kill("SIGKILL"), endMs)
      await ended
      clearTimeout(timer)
    }
  }
}

/** The child's side: answers calls until the parent is gone. */
export const answer = (calls: Calls): void => {
  process.on(
    "message",
    (message: { readonly call: number; readonly verb: string; readonly args: ReadonlyArray<never> }) => {
      void (async () => {
        try {
          process.send?.({ call: message.call, value: await calls[message.verb]?.(...message.args) })
        } catch (error) {
          process.send?.({
            call: message.call,
            error: error instanceof Error ? error.stack ?? error.message : String(error)
          })
        }
      })()
    }
  )
  process.once("disconnect", () => process.exit(0))
  // An interrupt of the terminal reaches all: the parent says when it is over.
  process.on("SIGINT", () => {})
}
