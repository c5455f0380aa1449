import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schedule } from "effect"
import { createServer as createTlsServer } from "node:tls"
import { Egress } from "../../src/Egress.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import type * as Resolver from "../../src/egress/Resolver.ts"
import * as Limits from "../../src/Limits.ts"
import { eventually, listening, served } from "../support/served.ts"

const request = { method: "POST", headers: [], body: "{}" }
const allow = ["127.0.0.0/8"]

const loopback = (limits: Partial<Limits.Limits> = {}, resolve?: Resolver.Resolve) =>
  EgressNode.layer({ allow, ...(resolve ? { resolve } : {}) }).pipe(Layer.provide(Limits.layer(limits)))

/** Gives the answers in turn, the last one for ever, and counts. */
const resolving = (...answers: ReadonlyArray<ReadonlyArray<string>>) => {
  const asked: Array<string> = []
  const resolve: Resolver.Resolve = (hostname, callback) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? []
    asked.push(hostname)
    callback(null, answer.map((address) => ({ address, family: 4 })))
  }
  return { asked, resolve }
}

describe("egress connects", () => {
  const rebinding = resolving(["127.0.0.1"], ["10.0.0.1"])
  it.live("only to the addresses it judged: a name is resolved once a connection, and judged again for the next", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const hosts: Array<string | undefined> = []
      const { port } = yield* served((incoming, response) => {
        hosts.push(incoming.headers.host)
        response.writeHead(200, { connection: "close" }).end()
      })
      const url = `http://rebinding.test:${port}/`
      assert.strictEqual((yield* egress.send({ ...request, url })).statusCode, 200)
      assert.deepStrictEqual(rebinding.asked, ["rebinding.test"])
      const refused = yield* Effect.flip(egress.send({ ...request, url }))
      assert.strictEqual(refused._tag, "ForbiddenTarget")
      assert.include(refused.message, "rebinding.test resolves to 10.0.0.1")
      assert.deepStrictEqual(hosts, [`rebinding.test:${port}`])
    }).pipe(Effect.provide(loopback({}, rebinding.resolve))))

  for (const answer of [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "nonsense"]]) {
    it.live(`to none of a name's addresses when one is forbidden: ${answer.join(" and ")}`, () =>
      Effect.gen(function*() {
        const egress = yield* Egress
        const { port, sockets } = yield* served((_, response) => void response.end())
        const refused = yield* Effect.flip(egress.send({ ...request, url: `http://mixed.test:${port}/` }))
        assert.strictEqual(refused._tag, "ForbiddenTarget")
        assert.strictEqual(sockets.length, 0)
      }).pipe(Effect.provide(loopback({}, resolving(answer).resolve))))
  }

  it.live("over TLS with the name as SNI, although to a pinned address, and offers HTTP/1.1 alone", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const greeted: Array<{ readonly servername: string; readonly protocols: ReadonlyArray<string> }> = []
      const server = createTlsServer({
        ALPNCallback: (greeting) => {
          greeted.push(greeting)
          return undefined
        }
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const port = yield* listening(server)
      const failed = yield* Effect.flip(egress.send({ ...request, url: `https://secure.test:${port}/` }))
      assert.strictEqual(failed._tag, "ConnectionFailed")
      assert.deepStrictEqual(greeted.map(({ protocols, servername }) => ({ protocols, servername })), [
        { protocols: ["http/1.1"], servername: "secure.test" }
      ])
    }).pipe(Effect.provide(loopback({}, resolving(["127.0.0.1"]).resolve))))

  it.live("anew for hardly any of the requests in turn to one origin", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port, sockets } = yield* served((_, response) => void response.end("ok"))
      yield* Effect.repeat(egress.send({ ...request, url: `http://127.0.0.1:${port}/` }), { times: 9 })
      // A request that begins as the one before it ends may find that one's connection not free yet.
      assert.isAtMost(sockets.length, 2)
    }).pipe(Effect.provide(loopback())))

  it.live("to no more than twice as many sockets as there are requests at once, whichever of them is answered first", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port, sockets } = yield* served((_, response) => void response.end("ok"))
      yield* Effect.replicateEffect(egress.send({ ...request, url: `http://127.0.0.1:${port}/` }), 300, {
        concurrency: "unbounded",
        discard: true
      })
      assert.isAtMost(sockets.length, 8)
    }).pipe(Effect.provide(loopback({ connectionsPerOrigin: 4 }))))

  for (const header of [{}, { connection: "close" }]) {
    it.live(`anew where the server closes after each answer, ${"connection" in header ? "as it says" : "without a word"}, and loses nothing`, () =>
      Effect.gen(function*() {
        const egress = yield* Egress
        const paths: Array<string | undefined> = []
        const { port, sockets } = yield* served((incoming, response) => {
          paths.push(incoming.url)
          response.writeHead(200, header).end("ok", () => incoming.socket.end())
        })
        const answers = yield* Effect.forEach(
          Array.from({ length: 200 }),
          (_, n) => egress.send({ ...request, url: `http://127.0.0.1:${port}/${n}` }),
          { concurrency: 20 }
        )
        assert.deepStrictEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
        assert.strictEqual(new Set(paths).size, 200)
        assert.strictEqual(paths.length, 200)
        assert.isAtLeast(sockets.length, 200)
      }).pipe(Effect.provide(loopback({ connectionsPerOrigin: 4 }))))
  }

  it.live("to a bounded number of origins: the least recently used idle one closes, a busy one does not", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const release = yield* Deferred.make<void>()
      const context = yield* Effect.context<never>()
      const busy = yield* served((_, response) =>
        void Effect.runForkWith(context)(
          Effect.andThen(Deferred.await(release), Effect.sync(() => response.end("busy")))
        )
      )
      const [first, second] = [
        yield* served((_, response) => void response.end()),
        yield* served((_, response) => void response.end())
      ]
      const held = yield* Effect.forkChild(
        egress.send({ ...request, url: `http://127.0.0.1:${busy.port}/` }),
        { startImmediately: true }
      )
      yield* egress.send({ ...request, url: `http://127.0.0.1:${first.port}/` })
      // Once more, as the first origin is idle only when its request has ended.
      yield* Effect.repeat(egress.send({ ...request, url: `http://127.0.0.1:${second.port}/` }), { times: 1 })
      yield* eventually("the idle origin's connection closes", () => first.sockets[0]?.destroyed === true)
      assert.isFalse(second.sockets[0]?.destroyed)
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual((yield* Fiber.join(held)).body, "busy")
    }).pipe(Effect.provide(loopback({ origins: 2, keepAliveMs: 60_000 }))))
})

describe("egress reads", () => {
  it.live("the answer, not the interim answers before it, with repeated headers joined", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port } = yield* served((_, response) => {
        response.writeEarlyHints({ link: "</a>; rel=preload" })
        response.writeHead(201, [["X-Many", "a"], ["x-many", "b"], ["X-One", "c"]].flat()).end("ä")
      })
      const answer = yield* egress.send({ ...request, url: `http://127.0.0.1:${port}/` })
      assert.deepInclude(answer, { statusCode: 201, body: "ä" })
      assert.deepInclude(answer.headers, { "x-many": "a, b", "x-one": "c" })
      assert.notProperty(answer.headers, "link")
    }).pipe(Effect.provide(loopback())))

  it.live("a body up to its limit, and closes the connection on one that goes on", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port, sockets } = yield* served((_, response) => void response.write("x".repeat(2000)))
      const answer = yield* egress.send({ ...request, url: `http://127.0.0.1:${port}/` })
      assert.strictEqual(answer.body, "x".repeat(1000))
      yield* eventually("the connection closes", () => sockets[0]?.destroyed === true)
    }).pipe(Effect.provide(loopback({ responseBytes: 1000 }))))

  it.live("no more than a bounded head", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port } = yield* served((_, response) =>
        void response.writeHead(200, { "x-long": "x".repeat(100_000) }).end()
      )
      const failed = yield* Effect.flip(egress.send({ ...request, url: `http://127.0.0.1:${port}/` }))
      assert.deepInclude(failed, { _tag: "ConnectionFailed", code: "UND_ERR_HEADERS_OVERFLOW" })
    }).pipe(Effect.provide(loopback())))

  it.live("no answer that breaks off as if it were whole", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port } = yield* served((_, response) => {
        response.writeHead(200, { "content-length": "10" })
        response.write("x", () => response.destroy())
      })
      const failed = yield* Effect.flip(egress.send({ ...request, url: `http://127.0.0.1:${port}/` }))
      assert.strictEqual(failed._tag, "ConnectionFailed")
    }).pipe(Effect.provide(loopback())))
})

describe("egress ends in time", () => {
  it.live("on a body that drips, and closes the connection", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const context = yield* Effect.context<never>()
      const { port, sockets } = yield* served((_, response) =>
        void Effect.runForkWith(context)(
          Effect.sync(() => response.write("x")).pipe(
            Effect.repeat(Schedule.spaced("10 millis").pipe(Schedule.while(() => !response.destroyed)))
          )
        )
      )
      const failed = yield* Effect.flip(
        egress.send({ ...request, url: `http://127.0.0.1:${port}/`, timeoutMs: 200 })
      )
      assert.deepInclude(failed, { _tag: "EgressTimeout", message: "No whole answer within 200 ms" })
      yield* eventually("the connection closes", () => sockets[0]?.destroyed === true)
    }).pipe(Effect.provide(loopback())))

  it.live("on a name that is never resolved: a request times out, a check accepts it", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      yield* egress.check("http://silent.test/")
      const failed = yield* Effect.flip(egress.send({ ...request, url: "http://silent.test/", timeoutMs: 10_000 }))
      assert.deepInclude(failed, { _tag: "EgressTimeout", message: "No connection in time" })
    }).pipe(Effect.provide(loopback({ connectTimeoutMs: 100 }, () => {}))))
})

describe("an interrupted request", () => {
  it.live("closes its connection", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port, sockets } = yield* served(() => {})
      const fiber = yield* Effect.forkChild(egress.send({ ...request, url: `http://127.0.0.1:${port}/` }))
      yield* eventually("it arrives", () => sockets.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* eventually("its connection closes", () => sockets[0]?.destroyed === true)
    }).pipe(Effect.provide(loopback())))

  it.live("is never sent when it still waited for a connection", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const paths: Array<string | undefined> = []
      const release = yield* Deferred.make<void>()
      const context = yield* Effect.context<never>()
      const { port } = yield* served((incoming, response) => {
        paths.push(incoming.url)
        Effect.runForkWith(context)(Effect.andThen(Deferred.await(release), Effect.sync(() => response.end())))
      })
      const send = (path: string) =>
        Effect.forkChild(egress.send({ ...request, url: `http://127.0.0.1:${port}${path}` }), {
          startImmediately: true
        })
      const first = yield* send("/first")
      yield* eventually("the first arrives", () => paths.length === 1)
      const second = yield* send("/second")
      const third = yield* send("/third")
      yield* Fiber.interrupt(second)
      yield* Deferred.succeed(release, undefined)
      yield* Effect.andThen(Fiber.join(first), Fiber.join(third))
      assert.deepStrictEqual(paths, ["/first", "/third"])
    }).pipe(Effect.provide(loopback({ connectionsPerOrigin: 1 }))))
})

describe("egress", () => {
  it.live("sends a method as it is, or fails: never another one", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const methods: Array<string | undefined> = []
      const { port } = yield* served((incoming, response) => {
        methods.push(incoming.method)
        response.end()
      })
      const url = `http://127.0.0.1:${port}/`
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        yield* egress.send({ ...request, method, url })
      }
      assert.deepStrictEqual(methods, ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
      const failed = yield* Effect.flip(egress.send({ ...request, method: "GET / HTTP/1.1\r\nx: y", url }))
      assert.strictEqual(failed._tag, "ConnectionFailed")
    }).pipe(Effect.provide(loopback())))

  it.live("does not start with an allow-list that names no network", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(
        Effect.scoped(Layer.build(EgressNode.layer({ allow: ["10.0.0.0/8", "10/8"] })))
      )
      assert.strictEqual(refused._tag, "AllowListRefused")
      assert.include(refused.message, "\"10/8\" is no network")
    }))
})
