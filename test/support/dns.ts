/**
 * A DNS server on loopback for a test, closed with its scope: it answers for the names that it is told of, and remembers what
 * it was asked.
 */
import { Effect } from "effect"
import ipaddr from "ipaddr.js"
import { createSocket } from "node:dgram"

/** A name's addresses, or how the server fails: `silent` is no answer at all. */
export type Known = ReadonlyArray<string> | "silent" | "failing" | {
  readonly silentFor: "A" | "AAAA"
  readonly addresses: Known
}

/** Serves on a free port; `address` is what a resolver is told. A name that `known` does not hold does not exist. */
export const dnsServer = (known: (name: string) => Known | undefined) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly address: string
      readonly asked: Array<string>
      readonly close: () => void
    }>((resume) => {
      const socket = createSocket("udp4")
      const asked: Array<string> = []
      socket.on("message", (query, from) => {
        const { name, question, type } = read(query)
        asked.push(`${name} ${type}`)
        const answer = answerTo(known(name), type)
        if (answer !== "silent") socket.send(write(query, question, answer), from.port, from.address)
      })
      let open = true
      socket.bind(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          address: `127.0.0.1:${socket.address().port}`,
          asked,
          close: () => {
            if (open) socket.close()
            open = false
          }
        })))
    }),
    ({ close }) => Effect.sync(close)
  )

type Type = "A" | "AAAA" | "other"

interface Answer {
  readonly code: number
  readonly addresses: ReadonlyArray<ReadonlyArray<number>>
}

const answerTo = (known: Known | undefined, type: Type): Answer | "silent" => {
  if (known === undefined) return { code: 3, addresses: [] }
  if (known === "silent") return known
  if (known === "failing") return { code: 2, addresses: [] }
  if ("silentFor" in known) return known.silentFor === type ? "silent" : answerTo(known.addresses, type)
  const length = type === "A" ? 4 : 16
  const addresses = known.map((address) => ipaddr.parse(address).toByteArray()).filter((bytes) =>
    bytes.length === length
  )
  return { code: 0, addresses: type === "other" ? [] : addresses }
}

const read = (query: Buffer): { readonly name: string; readonly type: Type; readonly question: Buffer } => {
  const labels: Array<string> = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = query.readUInt16BE(at + 1)
  return {
    name: labels.join(".").toLowerCase(),
    type: type === 1 ? "A" : type === 28 ? "AAAA" : "other",
    question: query.subarray(12, at + 5)
  }
}

const write = (query: Buffer, question: Buffer, { addresses, code }: Answer): Buffer => {
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  head.writeUInt16BE(0x8180 | code, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(addresses.length, 6)
  const records = addresses.map((bytes) => {
    // A pointer to the question's name, the type, the class, no time to live, the length.
    const record = Buffer.from([0xc0, 12, 0, bytes.length === 4 ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, bytes.length])
    return Buffer.concat([record, Buffer.from(bytes)])
  })
  return Buffer.concat([head, question, ...records])
}
