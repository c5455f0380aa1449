import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import ipaddr from "ipaddr.js"
import * as AddressPolicy from "../../src/egress/AddressPolicy.ts"

const none = { cidrs: [] }
const word = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))

/** IANA's registry of special-purpose IPv4 addresses, and multicast. */
const forbidden = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Azure's host, as its documentation of the platform's virtual public address has it.
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4"
].map((cidr) => {
  const [address = "", bits = ""] = cidr.split("/")
  const base = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
  return { cidr, base, size: 2 ** (32 - Number(bits)) }
})

const bytesOf = (address: number) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256)
const dotted = (address: number) => bytesOf(address).join(".")
const isForbidden = (address: number) => forbidden.some(({ base, size }) => address >= base && address < base + size)

/** How a URL may spell an IPv4 address. */
const hosts = (address: number) => {
  const [a = 0, b = 0, c = 0, d = 0] = bytesOf(address)
  return [
    dotted(address),
    `${dotted(address)}.`,
    String(address),
    `0x${address.toString(16)}`,
    `0${address.toString(8)}`,
    `0x${a.toString(16)}.0${b.toString(8)}.${c}.0x${d.toString(16)}`,
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${b * 65536 + c * 256 + d}`,
    // Full-width digits, and the ideographic full stop.
    dotted(address).replace(/\d/gu, (digit) => String.fromCharCode(0xff10 + Number(digit))).replaceAll(".", "\u3002")
  ]
}

/** The IPv6 addresses that carry an IPv4 address. */
const carriers = (address: number) => {
  const half = (n: number) => n.toString(16)
  const [high, low] = [Math.floor(address / 65536), address % 65536]
  const v4 = `${half(high)}:${half(low)}`
  return [
    `::ffff:${v4}`,
    `::ffff:${dotted(address)}`,
    `0:0:0:0:0:ffff:${v4}`,
    `::ffff:0:${v4}`,
    `64:ff9b::${v4}`,
    `2002:${v4}::1`,
    `2002:${v4}:1:2:3:4:5`,
    `2001:0:808:808:0:0:${half(high ^ 0xffff)}:${half(low ^ 0xffff)}`
  ]
}

describe("the address policy on IPv4", () => {
  it.prop(
    "refuses every special-purpose network at both ends and anywhere between, however it is spelt",
    [word],
    ([n]) => {
      for (const { base, cidr, size } of forbidden) {
        for (const address of [base, base + size - 1, base + (n % size)]) {
          for (const host of hosts(address)) {
            assert.isDefined(AddressPolicy.refusalOfUrl(`https://${host}/`, none), `${host} in ${cidr}`)
          }
          for (const host of carriers(address)) {
            assert.isDefined(AddressPolicy.refusal(host, none), `${host} in ${cidr}`)
            assert.isDefined(AddressPolicy.refusalOfUrl(`https://[${host}]/`, none), `${host} in ${cidr}`)
          }
        }
      }
    }
  )

  it.prop("refuses nothing else, however it is spelt", [word], ([address]) => {
    if (isForbidden(address)) return
    for (const host of hosts(address)) {
      assert.isUndefined(AddressPolicy.refusalOfUrl(`https://${host}/`, none), host)
    }
    for (const host of carriers(address)) assert.isUndefined(AddressPolicy.refusal(host, none), host)
  })
})

describe("the address policy on IPv6", () => {
  it.prop("refuses everything outside 2000::/3 that carries no IPv4 address", [word, word, word, word], (words) => {
    const parts = words.flatMap((n) => [Math.floor(n / 65536), n % 65536])
    const first = parts[0] ?? 0
    if (first === 0 || first === 0x64) return
    const address = new ipaddr.IPv6([first >= 0x2000 && first < 0x4000 ? first ^ 0x8000 : first, ...parts.slice(1)])
    assert.isDefined(AddressPolicy.refusal(address.toString(), none), address.toString())
  })

  it("refuses loopback, link-local, unique local, multicast, documentation, benchmarking and what is reserved", () => {
    for (
      const address of [
        "::",
        "::1",
        "0:0:0:0:0:0:0:1",
        "100::1",
        "2001:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1"
      ]
    ) assert.isDefined(AddressPolicy.refusal(address, none), address)
  })

  it("refuses local-use NAT64 whole, as its prefix length and so the place of the IPv4 address are the network's own", () => {
    for (const address of ["64:ff9b:1::808:808", "64:ff9b:1:7f00:1::808:808", "64:ff9b:2::808:808"]) {
      assert.isDefined(AddressPolicy.refusal(address, none), address)
    }
    const { allowed } = AddressPolicy.parseAllowed(["64:ff9b:1::/48"])
    assert.isUndefined(AddressPolicy.refusal("64:ff9b:1::808:808", allowed))
  })

  it("accepts global unicast", () => {
    for (const address of ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2400:cb00::1"]) {
      assert.isUndefined(AddressPolicy.refusal(address, none), address)
    }
  })
})

describe("the allow-list", () => {
  it("opens its networks and no other, also where an IPv6 address carries one of them", () => {
    const { allowed, refused } = AddressPolicy.parseAllowed(["127.0.0.0/8", "::1/128"])
    assert.deepStrictEqual(refused, [])
    for (const address of ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"]) {
      assert.isUndefined(AddressPolicy.refusal(address, allowed), address)
    }
    for (const address of ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "::2", "fe80::1"]) {
      assert.isDefined(AddressPolicy.refusal(address, allowed), address)
    }
  })

  it("refuses what could be read as another network than was meant", () => {
    const malformed = ["10/8", "010.0.0.0/8", "0x0a.0.0.0/8", "10.0.0.0", "10.0.0.0/33", "::1", "fe80::%1/10", "a", ""]
    assert.deepStrictEqual(AddressPolicy.parseAllowed(malformed).refused, malformed)
  })
})

describe("a refusal", () => {
  it("names the address, its kind and what an operator can do", () => {
    assert.strictEqual(
      AddressPolicy.refusalOfUrl("http://2130706433/", none),
      "127.0.0.1 is not a public address (loopback); an operator can allow its network with HOOKLINE_EGRESS_ALLOW"
    )
    assert.include(AddressPolicy.refusal("::ffff:169.254.169.254", none) ?? "", "linkLocal, as the IPv4 address")
  })

  it("of a URL with credentials does not repeat them", () => {
    assert.notInclude(AddressPolicy.refusalOfUrl("https://user:hunter2@example.com/", none) ?? "hunter2", "hunter2")
  })

  it("is given for other schemes and for what is no URL", () => {
    for (const url of ["", "http://", "//example.com", "ftp://example.com", "javascript:alert(1)", "http://a b/"]) {
      assert.isDefined(AddressPolicy.refusalOfUrl(url, none), url)
    }
  })
})
