import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as EgressNode from "../../../src/egress/EgressNode.ts"
import { provider } from "../../../src/plugins/webhook/index.ts"
import * as SecretFields from "../../../src/SecretFields.ts"
import { attemptAt, nowMs, refused, saved, url } from "./support.ts"

const oauth2 = { oauthTokenUrl: "https://example.com/token", oauthClientId: "c", oauthClientSecret: "s" }

const sigv4 = { awsAccessKeyId: "AKID", awsSecretAccessKey: "s", awsRegion: "eu-central-1", awsService: "execute-api" }

const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

const without = (config: object, field: string) =>
  Object.fromEntries(Object.entries(config).filter(([name]) => name !== field))

describe("a webhook's configuration", () => {
  it.effect("is refused with the field's path", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [object, string]> = [
        [{ url: undefined }, "config.url"],
        [{ method: "GET" }, "config.method"],
        [{ contentType: "text/plain" }, "config.contentType"],
        [{ format: "cloudevents" }, "config.format"],
        ...["cloudevents-structured", "cloudevents-binary"].map((format) =>
          [{ format, contentType: "application/x-www-form-urlencoded" }, "config.contentType"] as const
        ),
        [{ format: "cloudevents-structured", bodyTemplate: "{}" }, "config.bodyTemplate"],
        [{ timeoutMs: 999 }, "config.timeoutMs"],
        [{ timeoutMs: 60_001 }, "config.timeoutMs"],
        [{ retryOnStatus: [404, 600] }, "config.retryOnStatus[1]"],
        [{ authType: "digest" }, "config.authType"],
        [{ authType: "bearer" }, "config.bearerToken"],
        [{ authType: "bearer", bearerToken: "a\r\nb: c" }, "config.bearerToken"],
        [{ authType: "basic", basicPassword: "p" }, "config.basicUsername"],
        [{ authType: "basic", basicUsername: "u" }, "config.basicPassword"],
        [{ authType: "basic", basicUsername: "u:v", basicPassword: "p" }, "config.basicUsername"],
        [{ authType: "header", authHeaderValue: "v" }, "config.authHeaderName"],
        [{ authType: "header", authHeaderName: "x-key" }, "config.authHeaderValue"],
        [{ authType: "header", authHeaderName: "webhook-id", authHeaderValue: "v" }, "config.authHeaderName"],
        [{ authType: "oauth2", ...without(oauth2, "oauthTokenUrl") }, "config.oauthTokenUrl"],
        [{ authType: "oauth2", ...without(oauth2, "oauthClientId") }, "config.oauthClientId"],
        [{ authType: "oauth2", ...without(oauth2, "oauthClientSecret") }, "config.oauthClientSecret"],
        [{ authType: "oauth2", ...oauth2, oauthClientAuth: "jwt" }, "config.oauthClientAuth"],
        [{ authType: "sigv4", ...without(sigv4, "awsAccessKeyId") }, "config.awsAccessKeyId"],
        [{ authType: "sigv4", ...without(sigv4, "awsSecretAccessKey") }, "config.awsSecretAccessKey"],
        [{ authType: "sigv4", ...without(sigv4, "awsRegion") }, "config.awsRegion"],
        [{ authType: "sigv4", ...without(sigv4, "awsService") }, "config.awsService"],
        [{ authType: "sigv4", ...sigv4, awsAccessKeyId: "a\r\nb: c" }, "config.awsAccessKeyId"],
        [{ authType: "sigv4", ...sigv4, awsSessionToken: "a\r\nb: c" }, "config.awsSessionToken"],
        [{ authType: "sigv4", ...sigv4, awsRegion: "a/b" }, "config.awsRegion"],
        [{ authType: "mtls" }, "config.tlsCertificate"],
        [{ customHeaders: [{ name: "x", value: "a\nb" }] }, "config.customHeaders[0].value"],
        [{ customHeader: [] }, "config.customHeader"]
      ]
      for (const [config, path] of cases) {
        assert.strictEqual((yield* refused(config)).path, path, JSON.stringify(config))
      }
    }))

  it.effect("sends no header twice, as an endpoint may take either", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [config: object, name: string]> = [
        [{}, "x-team"],
        [{ authType: "bearer", bearerToken: "t" }, "Authorization"],
        [{ authType: "basic", basicUsername: "u", basicPassword: "p" }, "authorization"],
        [{ authType: "header", authHeaderName: "X-Key", authHeaderValue: "v" }, "x-key"],
        [{ authType: "oauth2", ...oauth2 }, "AUTHORIZATION"],
        ...["Authorization", "X-Amz-Date", "x-amz-security-token", "X-Amz-Content-Sha256"].map((name) =>
          [{ authType: "sigv4", ...sigv4 }, name] as const
        )
      ]
      for (const [config, name] of cases) {
        const customHeaders = ["X-Team", name].map((name) => ({ name, value: "v" }))
        assert.strictEqual((yield* refused({ ...config, customHeaders })).path, "config.customHeaders[1].name", name)
      }
    }))

  it.effect("does not override the headers that are Hookline's or the connection's", () =>
    Effect.gen(function*() {
      for (
        const name of [
          "Webhook-Id",
          "webhook-signature",
          "webhook-anything",
          "Content-Length",
          "content-type",
          "Host",
          "Transfer-Encoding",
          "connection",
          "X-Delivery-Id",
          "CE-Id",
          "no spaces",
          "colon:",
          ""
        ]
      ) {
        const error = yield* refused({ customHeaders: [{ name, value: "v" }] })
        assert.strictEqual(error.path, "config.customHeaders[0].name", name)
        const auth = yield* refused({ authType: "header", authHeaderName: name, authHeaderValue: "v" })
        assert.strictEqual(auth.path, "config.authHeaderName", name)
      }
    }))

  it.effect("is refused without a word of its secrets", () =>
    Effect.gen(function*() {
      const secret = "hunter2\nhunter2"
      for (
        const config of [
          { authType: "bearer", bearerToken: secret },
          { authType: "header", authHeaderName: "x", authHeaderValue: secret },
          { authType: "basic", basicUsername: "u", basicPassword: { secret } },
          { authType: "oauth2", ...oauth2, oauthClientSecret: { secret } },
          { authType: "sigv4", ...sigv4, awsSecretAccessKey: { secret } },
          { authType: "sigv4", ...sigv4, awsSessionToken: secret },
          { authType: "mtls", tlsPrivateKey: secret }
        ]
      ) assert.notInclude(JSON.stringify(yield* refused(config)), "hunter2")
    }))

  it.effect("has secrets that leave with every view of it", () =>
    Effect.gen(function*() {
      const open = {
        url,
        authType: "bearer",
        basicUsername: "u",
        authHeaderName: "x",
        oauthClientId: "c",
        tlsCertificate: pem,
        tlsAuthorities: pem,
        awsAccessKeyId: "k"
      }
      const config = {
        ...open,
        bearerToken: "t",
        basicPassword: "p",
        authHeaderValue: "v",
        oauthClientSecret: "s",
        tlsPrivateKey: pem,
        awsSecretAccessKey: "s",
        awsSessionToken: "t"
      }
      assert.deepStrictEqual(yield* SecretFields.without(provider.config, config), open)
    }))

  it.live("with a forbidden target is refused before it is saved, with the words of the attempt's refusal", () =>
    Effect.gen(function*() {
      const bound = yield* provider.bind({ url: "http://2130706433:9/" })
      const refusal = yield* Effect.flip(bound.check)
      const sent = yield* Effect.flip(bound.deliver(yield* attemptAt(nowMs)))
      assert.strictEqual(refusal.path, "config.url")
      assert.deepInclude(sent, { _tag: "Permanent", code: "ForbiddenTarget", message: refusal.message })
      const authorized = { url: "https://8.8.8.8/", authType: "oauth2", ...oauth2 }
      for (const oauthTokenUrl of ["http://10.0.0.1/token", "ftp://example.com/", "nonsense"]) {
        assert.strictEqual(
          (yield* Effect.flip(saved({ ...authorized, oauthTokenUrl }))).path,
          "config.oauthTokenUrl",
          oauthTokenUrl
        )
      }
    }).pipe(Effect.provide(EgressNode.layer())))
})
