import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { authority, type Certified, selfSigned } from "../../support/certificates.ts"
import { servedTls } from "../../support/served.ts"
import { attemptAt, type Got, keeping, loopback, nowMs, refused, saved } from "./support.ts"

const ours = authority("ours")

const client = ours.client("hookline")

const mtls = ({ certificate, privateKey }: Certified) => ({
  authType: "mtls",
  tlsCertificate: certificate,
  tlsPrivateKey: privateKey,
  tlsAuthorities: ours.certificate
})

/** An endpoint over TLS, with a client's certificate of ours alone where it is `mutual`. */
const secured = Effect.fnUntraced(function*({ mutual = false, own = ours.server() } = {}) {
  const requests: Array<Got> = []
  const { port } = yield* servedTls(
    {
      cert: own.certificate,
      key: own.privateKey,
      ...(mutual ? { ca: ours.certificate, requestCert: true, rejectUnauthorized: true } : {})
    },
    keeping(requests)
  )
  const deliver = Effect.fnUntraced(function*(config: object) {
    const bound = yield* saved({ url: `https://127.0.0.1:${port}/`, ...config })
    return yield* bound.deliver(yield* attemptAt(nowMs))
  })
  return { requests, deliver, failed: (config: object) => Effect.flip(deliver(config)) }
})

describe("a webhook over mutual TLS", () => {
  it.live("is accepted with the client's certificate", () =>
    Effect.gen(function*() {
      const { deliver, requests } = yield* secured({ mutual: true })
      assert.deepInclude(yield* deliver(mtls(client)), { statusCode: 200 })
      assert.strictEqual(requests.length, 1)
      // Whatever else could authorize is left out.
      assert.notProperty(requests[0]?.headers, "authorization")
    }).pipe(Effect.provide(loopback)))

  it.live("is accepted from a file with a chain, and one with parameters before the key", () =>
    Effect.gen(function*() {
      const { deliver } = yield* secured({ mutual: true })
      const chain = `\n${client.certificate}\n# its authority\n${ours.certificate}\n`
      const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
      yield* deliver({
        ...mtls({ certificate: chain, privateKey: `${parameters}${client.privateKey}` }),
        tlsAuthorities: `${authority("others").certificate}\n${ours.certificate}`
      })
    }).pipe(Effect.provide(loopback)))

  it.live("that the endpoint refuses is tried again, and tells no secret", () =>
    Effect.gen(function*() {
      const { failed, requests } = yield* secured({ mutual: true })
      const configs = {
        missing: { tlsAuthorities: ours.certificate },
        expired: mtls(ours.expiredClient("hookline")),
        unrelated: mtls(authority("others").client("hookline")),
        selfSigned: mtls(selfSigned())
      }
      for (const [what, config] of Object.entries(configs)) {
        const error = yield* failed(config)
        assert.strictEqual(error._tag, "Retryable", what)
        assert.notInclude(JSON.stringify(error), "BEGIN")
      }
      assert.strictEqual(requests.length, 0)
    }).pipe(Effect.provide(loopback)))
})

describe("a webhook's endpoint over TLS", () => {
  it.live("that nobody vouches for is not sent anything; the error says how to trust it, and it is tried again", () =>
    Effect.gen(function*() {
      const unknown = [
        ["DEPTH_ZERO_SELF_SIGNED_CERT", selfSigned()],
        ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", ours.server()]
      ] as const
      for (const [code, own] of unknown) {
        const { deliver, failed, requests } = yield* secured({ own })
        const error = yield* failed({ authType: "bearer", bearerToken: "hunter2" })
        assert.deepInclude(error, { _tag: "Retryable", code })
        assert.include(
          error.message,
          "put the certificate of the authority that signed the endpoint's into tlsAuthorities"
        )
        assert.strictEqual(requests.length, 0)
        // What signed itself vouches for itself.
        const tlsAuthorities = own === unknown[0][1] ? own.certificate : ours.certificate
        yield* deliver({ authType: "bearer", bearerToken: "hunter2", tlsAuthorities })
        assert.strictEqual(requests[0]?.headers.authorization, "Bearer hunter2")
      }
    }).pipe(Effect.provide(loopback)))
})

describe("a webhook's certificates", () => {
  const broken = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"
  const encrypted = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { format: "pem", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "hunter2" }
  }).privateKey

  it.effect("are refused when they are saved, with the field's path and without a word of them", () =>
    Effect.gen(function*() {
      const good = mtls(client)
      const cases: ReadonlyArray<readonly [config: object, path: string, message: string]> = [
        [{ ...good, tlsCertificate: "hunter2" }, "config.tlsCertificate", "Expected a certificate in PEM"],
        [{ ...good, tlsCertificate: broken }, "config.tlsCertificate", "block 1 is none"],
        [{ ...good, tlsCertificate: `${client.certificate}${broken}` }, "config.tlsCertificate", "block 2 is none"],
        [{ ...good, tlsCertificate: client.privateKey }, "config.tlsCertificate", "block 1 is none"],
        [
          { ...good, tlsCertificate: broken.replace("END CERTIFICATE", "END NOTHING") },
          "config.tlsCertificate",
          "Expected a certificate in PEM"
        ],
        [{ ...good, tlsPrivateKey: "hunter2" }, "config.tlsPrivateKey", "Expected a private key in PEM"],
        [{ ...good, tlsPrivateKey: client.certificate }, "config.tlsPrivateKey", "Expected a private key in PEM"],
        [{ ...good, tlsPrivateKey: encrypted }, "config.tlsPrivateKey", "not encrypted"],
        [
          { ...good, tlsPrivateKey: ours.client("other").privateKey },
          "config.tlsPrivateKey",
          "does not belong to the first certificate"
        ],
        [
          { ...good, tlsCertificate: `${ours.certificate}${client.certificate}` },
          "config.tlsPrivateKey",
          "does not belong to the first certificate"
        ],
        [
          { ...good, tlsCertificate: "-----BEGIN A-----".repeat(3000) + "-----END B-----" },
          "config.tlsCertificate",
          "Expected a certificate in PEM"
        ],
        [{ ...good, url: "http://a.example/" }, "config.url", "https"],
        [{ tlsAuthorities: "hunter2" }, "config.tlsAuthorities", "Expected certificates in PEM"],
        [{ tlsAuthorities: `${ours.certificate}\n${broken}` }, "config.tlsAuthorities", "block 2 is none"]
      ]
      for (const [config, path, message] of cases) {
        const error = yield* refused(config)
        assert.strictEqual(error.path, path)
        assert.include(error.message, message)
        assert.notMatch(error.message, /hunter2|aHVudGVyMg|-----END/u)
      }
    }))
})
