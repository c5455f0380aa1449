/**
 * A signed POST, as bare as it can be: what every peer's worker sends, and the bound that figures stand beside. Signed as
 * Standard Webhooks says, with undici's `Pool.dispatch`.
 */
import { createHmac, createSecretKey, type KeyObject } from "node:crypto"
import { Pool } from "undici"

const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64")

/** The same key as an object, which is made ready once and not for each signature. */
export const keyObject = createSecretKey(key)

/** Where an endpoint is: read from its URL once, and not for each request. */
interface Target {
  readonly pool: Pool
  readonly path: string
}

const targets = new Map<string, Target>()
const pools = new Map<string, Pool>()

/** Connections to one origin, as Hookline has them. */
export const connections = 64

/** How long an endpoint has to answer, in milliseconds. */
const timeoutMs = 15_000

const targetOf = (url: string): Target => {
  const known = targets.get(url)
  if (known) return known
  const { origin, pathname } = new URL(url)
  let pool = pools.get(origin)
  if (!pool) {
    pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
    pools.set(origin, pool)
  }
  const target = { pool, path: pathname }
  targets.set(url, target)
  return target
}

/** Sends a body; settles with the status of the answer once all of it is there. Signed with the key as bytes, or as it is given. */
export const post = (url: string, id: string, body: string, secret: Buffer | KeyObject = key): Promise<number> =>
  new Promise((resolve, reject) => {
    const { path, pool } = targetOf(url)
    const timestamp = String(Math.floor(Date.now() / 1000))
    const signature = `v1,${createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64")}`
    let status = 0
    pool.dispatch({
      path,
      method: "POST",
      headers: [
        "content-type",
        "application/json",
        "webhook-id",
        id,
        "webhook-timestamp",
        timestamp,
        "webhook-signature",
        signature
      ],
      body
    }, {
      onRequestStart: () => {},
      onResponseStart: (_controller, statusCode) => {
        status = statusCode
      },
      onResponseData: () => {},
      onResponseEnd: () => resolve(status),
      onResponseError: (_controller, error) => reject(error)
    })
  })

/**
 * What a peer's worker sends: throws what is not accepted, so that the queue tries it again. Signed with the key as an object,
 * as Hookline does, so that the same request costs the same.
 */
export const deliver = async (url: string, id: string, payload: object): Promise<void> => {
  const status = await post(url, id, JSON.stringify(payload), keyObject)
  if (status >= 300) throw new Error(`${url} answered ${status}`)
}

/** Closes the connections. */
export const close = async (): Promise<void> => {
  await Promise.all([...pools.values()].map((pool) => pool.destroy()))
  pools.clear()
  targets.clear()
}
