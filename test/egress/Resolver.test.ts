/**
 * Names that hang, against a DNS server on loopback and look-ups of the system that a test ends when it likes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Egress } from "../../src/Egress.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import * as Resolver from "../../src/egress/Resolver.ts"
import * as Limits from "../../src/Limits.ts"
import { dnsServer, type Known } from "../support/dns.ts"
import { eventually, served } from "../support/served.ts"

const request = { method: "POST", headers: [], body: "{}" }

/** Look-ups of the system that end when they are told to. */
const system = () => {
  const asked: Array<string> = []
  const pending = new Map<string, (addresses: ReadonlyArray<string>) => void>()
  const lookup: Resolver.Lookup = (hostname, _options, callback) => {
    asked.push(hostname)
    pending.set(hostname, (addresses) => callback(null, addresses.map((address) => ({ address, family: 4 }))))
  }
  return { asked, pending, lookup }
}

/** Answers at once with one address. */
const answering = (address: string) => {
  const asked: Array<string> = []
  const lookup: Resolver.Lookup = (hostname, _options, callback) => {
    asked.push(hostname)
    callback(null, [{ address, family: 4 }])
  }
  return { asked, lookup }
}

const world = (
  known: (name: string) => Known | undefined,
  options: {
    readonly limits?: Partial<Limits.Limits>
    readonly lookup?: Resolver.Lookup
    readonly hostsFile?: string
  } = {}
) =>
  Effect.gen(function*() {
    const { address, asked, close } = yield* dnsServer(known)
    const { limits, ...rest } = options
    const resolve = yield* Resolver.make({
      hostsFile: "/nonexistent",
      ...rest,
      servers: [address],
      limits: { ...Limits.defaults, ...limits }
    })
    return { asked, close, resolve, addresses: (name: string) => addressesOf(resolve, name) }
  })

const addressesOf = (resolve: Resolver.Resolve, name: string) =>
  Effect.callback<ReadonlyArray<string>, NodeJS.ErrnoException>((resume) =>
    resolve(
      name,
      (error, addresses) => resume(error ? Effect.fail(error) : Effect.succeed(addresses.map(({ address }) => address)))
    )
  )

/** The door with a resolver, its own limits beside. */
const door = (resolve: Resolver.Resolve, limits: Partial<Limits.Limits> = {}) =>
  Effect.map(
    Layer.build(
      EgressNode.layer({ allow: ["127.0.0.0/8", "::1/128"], resolve }).pipe(Layer.provide(Limits.layer(limits)))
    ),
    (context) => Egress.pipe(Effect.provide(context))
  ).pipe(Effect.flatten)

describe("names that hang", () => {
  it.live("do not hold up another endpoint: it is reached while 32 of them are being resolved", () =>
    Effect.gen(function*() {
      const limits = { dnsTryMs: 60_000, connectTimeoutMs: 60_000, requestTimeoutMs: 120_000 }
      const { asked, resolve } = yield* world(
        (name) => name === "healthy.test" ? ["127.0.0.1"] : "silent",
        { limits, lookup: system().lookup }
      )
      const egress = yield* door(resolve, limits)
      const { port } = yield* served((_, response) => void response.end("ok"))
      const names = Array.from({ length: 32 }, (_, n) => `hanging-${n}.test`)
      const hanging = yield* Effect.forEach(
        names,
        (name) => Effect.forkChild(egress.send({ ...request, url: `http://${name}:${port}/` }))
      )
      yield* eventually("they are being resolved", () => names.every((name) => asked.includes(`${name} A`)))
      assert.strictEqual((yield* egress.send({ ...request, url: `http://healthy.test:${port}/` })).body, "ok")
      for (const fiber of hanging) assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interruptAll(hanging)
    }))

  it.live("end as a connection that was not made in time, without a look-up of the system", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering("127.0.0.1")
      const { resolve } = yield* world(() => "silent", { limits: { dnsTryMs: 50, dnsTries: 1 }, lookup })
      const egress = yield* door(resolve)
      const failed = yield* Effect.flip(egress.send({ ...request, url: "http://hanging.test/" }))
      assert.deepInclude(failed, {
        _tag: "EgressTimeout",
        message: "No connection in time: hanging.test was not resolved in time"
      })
      yield* egress.check("http://hanging.test/")
      assert.deepStrictEqual(asked, [])
    }))

  it.live("in the system's look-up take two threads at most; those that wait end in time, and are never looked up", () =>
    Effect.gen(function*() {
      const { asked, lookup, pending } = system()
      const { addresses } = yield* world((name) => name === "healthy.test" ? ["127.0.0.1"] : undefined, {
        limits: { connectTimeoutMs: 1000 },
        lookup
      })
      const failed = yield* Effect.forEach(
        ["one", "two", "three", "four.test"],
        (name) => Effect.flip(addresses(name)),
        {
          concurrency: "unbounded"
        }
      )
      assert.deepStrictEqual(failed.map(({ code }) => code), Array.from({ length: 4 }, () => "ETIMEOUT"))
      assert.deepStrictEqual(asked, ["one", "two"])
      assert.deepStrictEqual(yield* addresses("healthy.test"), ["127.0.0.1"])
      const last = yield* Effect.forkChild(Effect.flip(addresses("last")), { startImmediately: true })
      assert.strictEqual((yield* Fiber.join(last)).code, "ETIMEOUT")
      pending.get("one")?.(["127.0.0.1"])
      const next = yield* Effect.forkChild(addresses("next"), { startImmediately: true })
      yield* eventually("a place is free", () => pending.has("next"))
      pending.get("next")?.(["127.0.0.2"])
      assert.deepStrictEqual(yield* Fiber.join(next), ["127.0.0.2"])
      assert.deepStrictEqual(asked, ["one", "two", "next"])
    }))

  it.live("in the system's look-up give their place to the next that waits when they end", () =>
    Effect.gen(function*() {
      const { asked, lookup, pending } = system()
      const { addresses } = yield* world(() => undefined, { lookup })
      const fibers = yield* Effect.forEach(
        ["one", "two", "three"],
        (name) => Effect.forkChild(addresses(name), { startImmediately: true })
      )
      yield* eventually("two are looked up", () => pending.size === 2)
      assert.deepStrictEqual(asked, ["one", "two"])
      pending.get("two")?.(["127.0.0.2"])
      yield* eventually("the third is looked up", () => pending.size === 3)
      pending.get("one")?.(["127.0.0.1"])
      pending.get("three")?.(["127.0.0.3"])
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"]])
    }))

  it.live("end with the resolver", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { addresses, asked } = yield* world(() => "silent", {
        limits: { dnsTryMs: 60_000, connectTimeoutMs: 60_000 }
      }).pipe(Scope.provide(scope))
      const failed = yield* Effect.forkChild(Effect.flip(addresses("hanging.test")), { startImmediately: true })
      yield* eventually("it is being resolved", () => asked.length === 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(failed)).code, "ECANCELLED")
    }))
})

describe("a name", () => {
  it.live("has its addresses of both families, asked for at once", () =>
    Effect.gen(function*() {
      const { addresses, asked } = yield* world((name) =>
        name === "both.test" ? ["127.0.0.1", "127.0.0.2", "::1"] : name === "six.test" ? ["::1"] : undefined
      )
      assert.deepStrictEqual(yield* addresses("both.test"), ["127.0.0.1", "127.0.0.2", "::1"])
      assert.deepStrictEqual(asked.toSorted(), ["both.test A", "both.test AAAA"])
      assert.deepStrictEqual(yield* addresses("six.test"), ["::1"])
    }))

  for (const silentFor of ["A", "AAAA"] as const) {
    it.live(`has those of one family when nobody answers for its ${silentFor} records`, () =>
      Effect.gen(function*() {
        const { addresses } = yield* world(() => ({ silentFor, addresses: ["127.0.0.1", "::1"] }), {
          limits: { dnsTryMs: 60_000, dnsOtherFamilyMs: 50, connectTimeoutMs: 60_000 }
        })
        assert.deepStrictEqual(yield* addresses("half.test"), [silentFor === "A" ? "::1" : "127.0.0.1"])
      }))
  }

  it.live("is refused whole when an address of its other family is forbidden", () =>
    Effect.gen(function*() {
      const { resolve } = yield* world(() => ["127.0.0.1", "fd00::1"])
      const egress = yield* door(resolve)
      const { port, sockets } = yield* served((_, response) => void response.end())
      const refused = yield* Effect.flip(egress.send({ ...request, url: `http://mixed.test:${port}/` }))
      assert.strictEqual(refused._tag, "ForbiddenTarget")
      assert.include(refused.message, "mixed.test resolves to fd00::1")
      assert.strictEqual(sockets.length, 0)
    }))

  it.live("that DNS does not know, or knows no address of, is the system's to look up; one that fails is not", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering("127.0.0.9")
      const { addresses } = yield* world(
        (name) => name === "failing.test" ? "failing" : name === "empty.test" ? [] : undefined,
        { lookup }
      )
      assert.deepStrictEqual(yield* addresses("unknown.test"), ["127.0.0.9"])
      assert.deepStrictEqual(yield* addresses("empty.test"), ["127.0.0.9"])
      assert.strictEqual((yield* Effect.flip(addresses("failing.test"))).code, "ESERVFAIL")
      assert.deepStrictEqual(asked, ["unknown.test", "empty.test"])
    }))

  it.live("is the system's to look up when no DNS server can be reached", () =>
    Effect.gen(function*() {
      const { asked, lookup } = answering("127.0.0.9")
      const { addresses, close } = yield* world(() => "silent", { lookup })
      close()
      assert.deepStrictEqual(yield* addresses("somewhere.test"), ["127.0.0.9"])
      assert.deepStrictEqual(asked, ["somewhere.test"])
    }))

  it.live("of the machine, of its link and of its hosts file is never asked of DNS", () =>
    Effect.gen(function*() {
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-hosts-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => Fs.rmSync(folder, { recursive: true })))
      const hostsFile = Path.join(folder, "hosts")
      Fs.writeFileSync(hostsFile, "# nothing\n")
      const { asked: lookedUp, lookup } = answering("127.0.0.9")
      const { addresses, asked } = yield* world(() => ["127.0.0.1"], { lookup, hostsFile })
      assert.deepStrictEqual(yield* addresses("listed.test"), ["127.0.0.1"])
      asked.splice(0)
      Fs.writeFileSync(hostsFile, "10.0.0.1\tother.test Listed.test # and no more.test\n")
      Fs.utimesSync(hostsFile, 1, 1)
      const local = ["intranet", "intranet.", "a.localhost", "printer.local", "listed.test", "listed.test."]
      for (const name of local) assert.deepStrictEqual(yield* addresses(name), ["127.0.0.9"], name)
      assert.deepStrictEqual(lookedUp, local)
      assert.deepStrictEqual(asked, [])
      assert.deepStrictEqual(yield* addresses("more.test"), ["127.0.0.1"])
    }))

  it.live("localhost needs no DNS", () =>
    Effect.gen(function*() {
      const { close, resolve } = yield* world(() => "silent")
      close()
      const egress = yield* door(resolve)
      const { port } = yield* served((_, response) => void response.end("here"))
      const found = yield* addressesOf(resolve, "localhost")
      assert.isNotEmpty(found.filter((address) => address === "127.0.0.1" || address === "::1"))
      assert.strictEqual((yield* egress.send({ ...request, url: `http://localhost:${port}/` })).body, "here")
    }))

  it.live("asked for many times at once is resolved once, and anew the next time", () =>
    Effect.gen(function*() {
      let address = "127.0.0.1"
      const { addresses, asked } = yield* world(() => [address])
      const all = yield* Effect.forEach(Array.from({ length: 20 }), () => addresses("busy.test"), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(all, Array.from({ length: 20 }, () => ["127.0.0.1"]))
      assert.strictEqual(asked.length, 2)
      address = "127.0.0.2"
      assert.deepStrictEqual(yield* addresses("busy.test"), ["127.0.0.2"])
    }))
})
