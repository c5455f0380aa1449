import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Egress } from "../../src/Egress.ts"
import * as AddressPolicy from "../../src/egress/AddressPolicy.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import { served } from "../support/served.ts"

const none = { cidrs: [] }
const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))

const spellings = (a: number, b: number, c: number, d: number) => {
  const high = ((a << 8) | b).toString(16)
  const low = ((c << 8) | d).toString(16)
  const teredo = `${(((a << 8) | b) ^ 0xffff).toString(16)}:${(((c << 8) | d) ^ 0xffff).toString(16)}`
  return [
    `${a}.${b}.${c}.${d}`,
    `::ffff:${high}:${low}`,
    `64:ff9b::${high}:${low}`,
    `2002:${high}:${low}::1`,
    `2001:0:1:2:3:4:${teredo}`
  ]
}

describe("the address policy", () => {
  it.prop("refuses every private address in every spelling", [byte, byte, byte], ([b, c, d]) => {
    for (
      const [first, second] of [[10, b], [127, b], [0, b], [169, 254], [192, 168], [172, 16 + (b % 16)], [
        100,
        64 + (b % 64)
      ]]
    ) {
      for (const address of spellings(first ?? 0, second ?? 0, c, d)) {
        assert.isDefined(AddressPolicy.refusal(address, none), address)
      }
    }
  })

  it.prop("accepts public unicast", [byte, byte], ([c, d]) => {
    for (const address of [`8.8.${c}.${d}`, `1.1.${c}.${d}`, `2606:4700::${c.toString(16)}:${d.toString(16)}`]) {
      assert.isUndefined(AddressPolicy.refusal(address, none), address)
    }
  })

  it("refuses what is no public unicast: multicast, reserved, documentation, link-local, unique local", () => {
    for (
      const address of [
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1"
      ]
    ) assert.isDefined(AddressPolicy.refusal(address, none), address)
  })

  it("refuses URLs in every spelling of a forbidden address, other schemes and credentials", () => {
    for (
      const url of [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://u:p@example.com/",
        "nonsense"
      ]
    ) assert.isDefined(AddressPolicy.refusalOfUrl(url, none), url)
    assert.isUndefined(AddressPolicy.refusalOfUrl("https://example.com/hook", none))
  })
})

const request = { method: "POST", headers: [], body: "{}" }
const loopback = EgressNode.layer({ allow: ["127.0.0.0/8"] })

describe("egress", () => {
  it.live("refuses a literal and a name that resolves to a forbidden address, at save and at send with one message", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      for (const url of ["http://127.0.0.1:1/", "http://mixed.test/"]) {
        const checked = yield* Effect.flip(egress.check(url))
        const sent = yield* Effect.flip(egress.send({ ...request, url }))
        assert.strictEqual(sent._tag, "ForbiddenTarget")
        assert.strictEqual(sent.message, checked.message)
      }
      yield* egress.check("http://unknown.test/")
    }).pipe(Effect.provide(EgressNode.layer({
      resolve: (hostname, callback) =>
        hostname === "mixed.test"
          ? callback(null, [{ address: "8.8.8.8", family: 4 }, { address: "10.0.0.1", family: 4 }])
          : callback(new Error("not found"), [])
    }))))

  it.live("does not follow redirects, and cuts a body at its limit", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { port } = yield* served((incoming, response) =>
        incoming.url === "/moved"
          ? response.writeHead(302, { location: "/elsewhere" }).end()
          : response.writeHead(200).end("x".repeat(1_000_000))
      )
      const moved = yield* egress.send({ ...request, url: `http://127.0.0.1:${port}/moved` })
      assert.strictEqual(moved.statusCode, 302)
      const long = yield* egress.send({ ...request, url: `http://127.0.0.1:${port}/` })
      assert.strictEqual(long.body.length, 64 * 1024)
    }).pipe(Effect.provide(loopback)))

  it.live("ends a request without an answer in time, and one whose connection is refused or dropped", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const silent = yield* served(() => {})
      const timedOut = yield* Effect.flip(
        egress.send({ ...request, url: `http://127.0.0.1:${silent.port}/`, timeoutMs: 100 })
      )
      assert.strictEqual(timedOut._tag, "EgressTimeout")
      const dropping = yield* served((_, response) => void response.destroy())
      const dropped = yield* Effect.flip(egress.send({ ...request, url: `http://127.0.0.1:${dropping.port}/` }))
      assert.strictEqual(dropped._tag, "ConnectionFailed")
      dropping.close()
      const refused = yield* Effect.flip(egress.send({ ...request, url: "http://127.0.0.1:1/" }))
      assert.strictEqual(refused._tag, "ConnectionFailed")
      const broken = yield* Effect.flip(
        egress.send({ ...request, url: "http://127.0.0.1:1/", headers: ["a", "b\r\nc: d"] })
      )
      assert.strictEqual(broken._tag, "ConnectionFailed")
    }).pipe(Effect.provide(loopback)))
})
