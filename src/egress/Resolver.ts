/**
 * Names to addresses, so that a name that hangs holds up no other: DNS is asked on sockets. The system's look-up, which takes one
 * of the process's few threads until it ends, is left to the names that DNS does not know, and bounded in number.
 */
import { Deferred, Effect, Exit, type Fiber, FiberSet, type Scope } from "effect"
import { lookup, type LookupAddress, type LookupAllOptions, Resolver as Dns } from "node:dns"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Limits } from "../Limits.ts"

/**
 * Resolves a name to all of its addresses.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolve = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: ReadonlyArray<LookupAddress>) => void
) => void

/**
 * The system's look-up, as Node has it.
 *
 * @category models
 * @since 0.1.0
 */
export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: Array<LookupAddress>) => void
) => void

/**
 * The process's resolver.
 *
 * **Details**
 *
 * Names without a dot, names of the local link and names in the hosts file go to the system; so do those that DNS does not know,
 * for the sake of search domains, and all where no DNS server can be reached. A server that does not answer is no reason: the
 * system would ask the same one. Nothing is kept beyond the answer, but look-ups of one name under way at once are one. An
 * address that comes too late for the answer is not in it, so nobody connects to it.
 *
 * **Gotchas**
 *
 * A name that is not resolved within `Limits.connectTimeoutMs` fails with the code `ETIMEOUT`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly limits: Limits
  /** The DNS servers, as `127.0.0.1:53`; the system's when left out. */
  readonly servers?: ReadonlyArray<string>
  /** For tests. */
  readonly lookup?: Lookup
  readonly hostsFile?: string
}): Effect.Effect<Resolve, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { limits, servers } = options
    const run = yield* FiberSet.makeRuntime<never, Answer>()
    const bySystem = bounded(limits.lookups, options.lookup ?? lookup)
    const isLocal = localNames(options.hostsFile ?? hostsFile)
    const underWay = new Map<string, Fiber.Fiber<Answer>>()
    const addresses = (name: string) => {
      if (isLocal(name)) return bySystem(name)
      return Effect.catchIf(byDns(name, limits, servers), isUnknown, () => bySystem(name))
    }
    const begin = (name: string) =>
      run(
        addresses(name).pipe(
          Effect.timeoutOrElse({ duration: limits.connectTimeoutMs, orElse: () => Effect.fail(late(name)) }),
          Effect.match({
            onFailure: (error): Answer => [error, []],
            onSuccess: (addresses): Answer => [null, addresses]
          }),
          Effect.ensuring(Effect.sync(() => underWay.delete(name)))
        )
      )
    return (name, callback) => {
      const fiber = underWay.get(name) ?? begin(name)
      if (fiber.pollUnsafe() === undefined) underWay.set(name, fiber)
      fiber.addObserver((exit) => callback(...(Exit.isSuccess(exit) ? exit.value : givenUp(name))))
    }
  })

// --- internal ---

type Answer = readonly [NodeJS.ErrnoException | null, ReadonlyArray<LookupAddress>]

type Addresses = Effect.Effect<ReadonlyArray<LookupAddress>, NodeJS.ErrnoException>

const failure = (code: string, message: string): NodeJS.ErrnoException => Object.assign(new Error(message), { code })

const late = (name: string) => failure("ETIMEOUT", `${name} was not resolved in time`)

const givenUp = (name: string): Answer => [failure("ECANCELLED", `The look-up of ${name} was given up`), []]

/** No DNS server knows the name, or none can be reached. */
const isUnknown = ({ code }: NodeJS.ErrnoException): boolean =>
  code === "ENOTFOUND" || code === "ENODATA" || code === "ECONNREFUSED" || code === "ENOSERVER"

/** Asks for both families at once; when one is known, the other is waited for a little. */
const byDns = (name: string, limits: Limits, servers: ReadonlyArray<string> | undefined): Addresses =>
  Effect.suspend(() => {
    // One for each name: it can be cancelled alone, and reads the system's settings, which change while the process runs.
    const dns = new Dns({ timeout: limits.dnsTryMs, tries: limits.dnsTries })
    if (servers) dns.setServers(servers)
    const known = Deferred.makeUnsafe<void>()
    const found: Record<4 | 6, Array<LookupAddress>> = { 4: [], 6: [] }
    const errors: Array<NodeJS.ErrnoException> = []
    const ask = (family: 4 | 6) =>
      Effect.callback<void>((resume) => {
        const answered = (error: NodeJS.ErrnoException | null, addresses: ReadonlyArray<string>) => {
          if (error) errors.push(error)
          else found[family] = addresses.map((address) => ({ address, family }))
          resume(error ? Effect.void : Deferred.succeed(known, undefined))
        }
        if (family === 4) dns.resolve4(name, answered)
        else dns.resolve6(name, answered)
      })
    return Effect.raceFirst(
      Effect.all([ask(4), ask(6)], { concurrency: "unbounded", discard: true }),
      Effect.andThen(Deferred.await(known), Effect.sleep(limits.dnsOtherFamilyMs))
    ).pipe(
      Effect.flatMap((): Addresses => {
        const addresses = [...found[4], ...found[6]]
        if (addresses.length > 0) return Effect.succeed(addresses)
        const error = errors.find((error) => !isUnknown(error)) ?? errors[0]
        return Effect.fail(!error || error.code === "ETIMEOUT" ? late(name) : error)
      }),
      Effect.ensuring(Effect.sync(() => dns.cancel()))
    )
  })

/**
 * The system's look-ups, so many at once; the others wait in turn, and leave when nobody waits for them any more. One under way
 * can't be cancelled, and keeps its place until it ends.
 */
const bounded = (most: number, lookup: Lookup): (name: string) => Addresses => {
  const waiting = new Set<() => void>()
  let running = 0
  return (name) =>
    Effect.callback((resume) => {
      const begin = () => {
        waiting.delete(begin)
        running++
        lookup(name, { all: true, verbatim: true }, (error, addresses) => {
          running--
          resume(error ? Effect.fail(error) : Effect.succeed(addresses))
          const [next] = waiting
          next?.()
        })
      }
      waiting.add(begin)
      if (running < most) begin()
      return Effect.sync(() => waiting.delete(begin))
    })
}

const hostsFile = process.platform === "win32"
  ? Path.join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", "drivers", "etc", "hosts")
  : "/etc/hosts"

/** The names that DNS has no say in. Those of the hosts file go before DNS, as everywhere; it is read again when it changed. */
const localNames = (file: string): (name: string) => boolean => {
  let changedAt: number | undefined
  let listed = new Set<string>()
  const read = () => {
    try {
      const { mtimeMs } = Fs.statSync(file)
      if (mtimeMs === changedAt) return
      const lines = Fs.readFileSync(file, "utf8").toLowerCase().split("\n")
      listed = new Set(lines.flatMap((line) => line.replace(/#.*/u, "").trim().split(/\s+/u).slice(1)))
      changedAt = mtimeMs
    } catch {
      listed.clear()
      changedAt = undefined
    }
  }
  return (hostname) => {
    const name = hostname.toLowerCase().replace(/\.$/u, "")
    if (!name.includes(".") || /\.(localhost|local)$/u.test(name)) return true
    read()
    return listed.has(name)
  }
}
