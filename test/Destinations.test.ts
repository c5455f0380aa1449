import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Destinations from "../src/Destinations.ts"
import { WebhookConfig } from "../src/plugins/webhook/WebhookConfig.ts"

const secret = Schema.String.annotate({ secret: true })

/** Which secret would go elsewhere by which field, as `secret < address`; `before` is changed by the keys of `change`. */
const judge = (
  schema: Schema.Constraint,
  before: { readonly [name: string]: Schema.Json },
  change: { readonly [name: string]: Schema.Json }
) => {
  const found = Destinations.misdirected(schema, { before, change, after: { ...before, ...change } })
  return found && `${found.secret.join(".")} < ${found.address.join(".")}`
}

describe("a stored secret", () => {
  const schema = Schema.Struct({ url: Schema.optionalKey(Schema.String), token: Schema.optionalKey(secret) })
  const before = { url: "https://a.example/x", token: "t" }

  it("stays where scheme, host and port are the same", () => {
    for (
      const url of ["https://a.example/y?z", "https://A.EXAMPLE", "https://a.example:443/"]
    ) {
      assert.isUndefined(judge(schema, before, { url }), url)
    }
  })

  it("does not go to another scheme, host or port, however that is written", () => {
    for (
      const url of [
        "http://a.example/x",
        "https://a.example:8443/",
        "https://b.example/x",
        "https://a.example.b.example/",
        "https://a.example@b.example/",
        // What is before the sign may be what is left of it, once a template is rendered.
        "https://u@a.example/",
        "https://b.example{% comment %}@a.example/{% endcomment %}",
        "https://b.example{{ '%2F' | url_decode }}@a.example/",
        "https://a.example\\@b.example\\",
        "https:b.example",
        " https://b.example",
        "\u0001https://b.example",
        "\u00a0\u001fhttps://b.example",
        "https:\n//b.example",
        "HTTPS:\\\\b.example",
        "ftp://a.example",
        "{{ payload.url }}",
        "https://{{ payload.host }}/",
        "https://a.example{{ payload.host }}/",
        "https://a.example{{payload.host}}",
        "https://a.example:{{ payload.port }}",
        "{% assign a = 1 %}https://a.example/",
        "a.example"
      ]
    ) {
      const expected = url.includes("\\@") ? undefined : "token < url"
      assert.strictEqual(judge(schema, before, { url }), expected, url)
      assert.isUndefined(judge(schema, before, { url, token: "t" }), "it is given again")
      assert.strictEqual(judge(schema, before, { url, token: "" }), expected, url)
    }
  })

  it("does not go to an address that there was none of before, wherever that is", () => {
    const any = Schema.Struct({ token: secret, more: Schema.Json })
    for (
      const [more, place] of [
        ["https://b.example", "more"],
        ["\u0001https://b.example", "more"],
        [["x", { deep: "wss://b.example" }], "more.1.deep"],
        [{ "https://b.example": true }, "more.https://b.example"],
        [{ __proto__x: "postgres://b.example/db" }, "more.__proto__x"]
      ] as const
    ) {
      assert.strictEqual(judge(any, { token: "t", more: {} }, { more }), `token < ${place}`)
    }
    for (const more of ["a text: https://b.example", "urn:a:b", "mailto:a@b.example", 1, null]) {
      assert.isUndefined(judge(any, { token: "t", more: {} }, { more }))
    }
  })

  it("does not go to another host that is no URL where its schema says so, nor to one of another member of a union", () => {
    const host = Schema.String.annotate({ address: true })
    const hosted = Schema.Union([
      Schema.Struct({ host, port: Schema.Int.annotate({ address: true }), note: Schema.String, token: secret }),
      Schema.Struct({ host: Schema.String, region: Schema.String, token: secret })
    ])
    const before = { host: "a.example", port: 25, note: "n", token: "t" }
    assert.strictEqual(judge(hosted, before, { host: "b.example" }), "token < host")
    assert.strictEqual(judge(hosted, before, { port: 26 }), "token < port")
    assert.isUndefined(judge(hosted, before, { note: "b.example" }))
    const odd = Schema.Union([
      Schema.Struct({ kind: Schema.Literal("a"), to: Schema.String.annotate({ address: false }), token: secret }),
      Schema.Struct({ kind: Schema.Literal("b"), to: Schema.String, token: secret })
    ])
    assert.strictEqual(
      judge(odd, { kind: "a", to: "x", token: "t" }, { kind: "b", to: "https://b.example" }),
      "token < to"
    )
  })

  it("that is itself a URL goes where it says, and takes no other with it", () => {
    const slack = Schema.Struct({ hook: Schema.Redacted(Schema.String), token: Schema.optionalKey(secret) })
    assert.isUndefined(judge(slack, { hook: "https://a.example/1" }, { hook: "https://b.example/2" }))
    assert.strictEqual(
      judge(slack, { hook: "https://a.example/1", token: "t" }, { hook: "https://b.example/2" }),
      "token < hook"
    )
    assert.isUndefined(judge(slack, { hook: "https://a.example/1", token: "t" }, { token: "new" }))
  })
})

describe("a webhook's stored secret", () => {
  const url = "https://a.example/"
  const elsewhere = { url: "https://b.example/" }

  it("does not follow the endpoint, nor the token endpoint, to another host", () => {
    assert.strictEqual(judge(WebhookConfig, { url, bearerToken: "t" }, elsewhere), "bearerToken < url")
    const oauth = { url, oauthTokenUrl: "https://login.example/token", oauthClientSecret: "s", oauthScope: "a" }
    assert.strictEqual(
      judge(WebhookConfig, oauth, { oauthTokenUrl: "https://b.example/token" }),
      "oauthClientSecret < oauthTokenUrl"
    )
    // What it gets there is sent to the endpoint.
    assert.strictEqual(judge(WebhookConfig, oauth, elsewhere), "oauthClientSecret < url")
    const moved = { oauthScope: "https://graph.example/.default", oauthAudience: "https://api.example" }
    assert.isUndefined(judge(WebhookConfig, oauth, moved))
  })

  it("that signs, or opens a connection, is not sent and stays", () => {
    assert.isUndefined(judge(WebhookConfig, { url, awsSecretAccessKey: "s" }, elsewhere))
    assert.isUndefined(judge(WebhookConfig, { url, tlsPrivateKey: "k" }, elsewhere))
    assert.strictEqual(judge(WebhookConfig, { url, awsSessionToken: "t" }, elsewhere), "awsSessionToken < url")
  })

  it("stays where a header or the body is changed to a URL", () => {
    const changed = {
      customHeaders: [{ name: "x-from", value: "https://c.example" }],
      bodyTemplate: "https://c.example"
    }
    assert.isUndefined(judge(WebhookConfig, { url, bearerToken: "t" }, changed))
  })
})
