/**
 * Where requests may go, pure: everything that is public unicast, and what an operator allows. Transition forms of IPv6 are
 * decoded and judged by the IPv4 address inside.
 */
import ipaddr from "ipaddr.js"

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * Networks that are allowed although they are not public.
 *
 * @category models
 * @since 0.1.0
 */
export interface Allowed {
  readonly cidrs: ReadonlyArray<readonly [Address, number]>
}

/**
 * Parses CIDRs such as `10.0.0.0/8`; a text that is none comes back as `refused`.
 *
 * **Details**
 *
 * Strict, as a misread network opens another one: four decimal parts, so neither `10/8` (it would be 0.0.0.10/8) nor
 * `010.0.0.0/8` (it would be 8.0.0.0/8).
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseAllowed = (
  texts: ReadonlyArray<string>
): { readonly allowed: Allowed; readonly refused: ReadonlyArray<string> } => {
  const cidrs: Array<readonly [Address, number]> = []
  const refused: Array<string> = []
  for (const text of texts) {
    if (isCidr(text)) cidrs.push(ipaddr.parseCIDR(text))
    else refused.push(text)
  }
  return { allowed: { cidrs }, refused }
}

/**
 * Why an address is refused; undefined when it is allowed.
 *
 * @category guards
 * @since 0.1.0
 */
export const refusal = (address: string, allowed: Allowed): string | undefined => {
  if (!ipaddr.isValid(address)) return `${address} is no address`
  const parsed = ipaddr.parse(address)
  if (isAllowed(parsed, allowed)) return undefined
  const kind = kindOf(parsed, allowed)
  return kind &&
    `${address} is not a public address (${kind}); an operator can allow its network with HOOKLINE_EGRESS_ALLOW`
}

/**
 * Why a URL is refused before its name is resolved; undefined when it is not.
 *
 * @category guards
 * @since 0.1.0
 */
export const refusalOfUrl = (text: string, allowed: Allowed): string | undefined => {
  const url = URL.parse(text)
  if (!url) return "it is no URL"
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return `${url.protocol} is not allowed: use https: or http:`
  }
  if (url.username !== "" || url.password !== "") {
    return "credentials in the URL are not allowed: use the subscription's authentication"
  }
  const host = hostOf(url)
  return ipaddr.isValid(host) ? refusal(host, allowed) : undefined
}

/**
 * The host of a URL, an IPv6 address without its brackets.
 *
 * @category conversions
 * @since 0.1.0
 */
export const hostOf = (url: { readonly hostname: string }): string => url.hostname.replace(/^\[|\]$/gu, "")

// --- internal ---

const isCidr = (text: string): boolean =>
  text.includes(":")
    ? !text.includes("%") && ipaddr.IPv6.isValidCIDR(text)
    : ipaddr.IPv4.isValidCIDRFourPartDecimal(text)

const isAllowed = (address: Address, allowed: Allowed): boolean =>
  allowed.cidrs.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits)) ||
  (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && isAllowed(address.toIPv4Address(), allowed))

/** Networks that ipaddr.js has no range for, or counts as unicast. */
const special: ReadonlyArray<readonly [string, string]> = [
  ["192.0.0.0/24", "reserved"],
  // Azure's host, from inside each of its machines.
  ["168.63.129.16/32", "cloud platform"],
  ["192.88.99.0/24", "reserved"],
  ["192.0.2.0/24", "documentation"],
  ["198.51.100.0/24", "documentation"],
  ["203.0.113.0/24", "documentation"],
  ["198.18.0.0/15", "benchmarking"],
  ["240.0.0.0/4", "reserved"],
  // Where the IPv4 address is in it depends on the prefix length that its network chose (RFC 8215).
  ["64:ff9b:1::/48", "local-use NAT64"],
  ["2001:db8::/32", "documentation"],
  ["3fff::/20", "documentation"],
  ["2001:2::/48", "benchmarking"],
  ["2001:10::/28", "reserved"],
  ["2001:20::/28", "reserved"],
  ["5f00::/16", "reserved"]
]

const networks = special.map(([cidr, kind]) => ({ network: ipaddr.parseCIDR(cidr), kind }))

const kindOf = (address: Address, allowed: Allowed): string | undefined => {
  for (const { kind, network: [base, bits] } of networks) {
    if (base.kind() === address.kind() && address.match(base, bits)) return kind
  }
  if (address instanceof ipaddr.IPv4) return address.range() === "unicast" ? undefined : address.range()
  const embedded = embeddedIPv4(address)
  if (embedded) {
    if (isAllowed(embedded, allowed)) return undefined
    const kind = kindOf(embedded, allowed)
    return kind && `${kind}, as the IPv4 address ${embedded.toString()} inside`
  }
  if (address.range() !== "unicast") return address.range()
  // Only 2000::/3 is assigned to global unicast.
  return address.match(ipaddr.IPv6.parse("2000::"), 3) ? undefined : "not global unicast"
}

/** The IPv4 address inside a mapped, compatible, NAT64, 6to4 or Teredo address. */
const embeddedIPv4 = (address: ipaddr.IPv6): ipaddr.IPv4 | undefined => {
  const { parts } = address
  const at = (i: number, mask = 0) => {
    const high = (parts[i] ?? 0) ^ mask
    const low = (parts[i + 1] ?? 0) ^ mask
    return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255])
  }
  const zeros = (from: number, to: number) => parts.slice(from, to).every((part) => part === 0)
  if (zeros(0, 5) && parts[5] === 0xffff) return at(6)
  if (zeros(0, 4) && parts[4] === 0xffff && parts[5] === 0) return at(6)
  if (zeros(0, 6) && !(parts[6] === 0 && (parts[7] ?? 0) < 2)) return at(6)
  if (parts[0] === 0x64 && parts[1] === 0xff9b && zeros(2, 6)) return at(6)
  if (parts[0] === 0x2002) return at(1)
  if (parts[0] === 0x2001 && parts[1] === 0) return at(6, 0xffff)
  return undefined
}
