/**
 * What the documentation says of schemas, limits and examples, held to them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Egress } from "../src/Egress.ts"
import * as Filter from "../src/Filter.ts"
import * as Hook from "../src/Hook.ts"
import * as Hookline from "../src/Hookline.ts"
import { PreviewInput, RotationInput, SubscriptionCreated, SubscriptionInput } from "../src/http/SubscriptionsApi.ts"
import * as Id from "../src/Id.ts"
import * as IntegrationEvent from "../src/IntegrationEvent.ts"
import { defaults } from "../src/Limits.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Webhook from "../src/plugins/webhook/index.ts"
import { RetryJson } from "../src/RetrySchedule.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import * as Template from "../src/Template.ts"
import * as TemplateEngine from "../src/TemplateEngine.ts"
import { SecretsTest } from "./support/world.ts"

const root = Path.resolve(import.meta.dirname, "..")

const read = (file: string) => Fs.readFileSync(Path.join(root, file), "utf8")

const reference = read("docs/subscriptions.md")

/** A section of the reference, by its heading. */
const section = (title: string) => reference.split(/^## /mu).find((text) => text.startsWith(`${title}\n`)) ?? ""

/** Those of the names that a text does not show as code. */
const unnamed = (text: string, names: ReadonlyArray<string>) => names.filter((name) => !text.includes(`\`${name}\``))

/** Blocks of a language. */
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gmu"))].map((match) => match[1] ?? "")

const Json = Schema.fromJsonString(Schema.Json)

const Incident = Hook.make("incident.created", {
  payload: Schema.Struct({
    incidentId: Schema.String,
    title: Schema.String,
    severity: Schema.String,
    systemIds: Schema.Array(Schema.String)
  })
})

const world = Hookline.layer({
  plugins: Layer.mergeAll(
    Webhook.plugin,
    Plugin.make("incident", {
      hooks: [Incident],
      events: [IntegrationEvent.make(Incident, { displayName: "Incident Created" })]
    })
  )
}).pipe(Layer.provide([
  StorageMemory.layer,
  SecretsTest,
  Layer.succeed(Egress, { check: () => Effect.void, send: () => Effect.die("nothing is sent") })
]))

describe("the reference of subscriptions", () => {
  it("names every field of a subscription and of the answer", () => {
    assert.deepStrictEqual(unnamed(section("Fields"), Object.keys(SubscriptionInput.fields)), [])
    assert.deepStrictEqual(unnamed(section("Fields"), Object.keys(SubscriptionCreated.fields)), [])
  })

  it("names every field of the webhook's configuration", () => {
    assert.deepStrictEqual(unnamed(section("Webhook"), Object.keys(Webhook.WebhookConfig.fields)), [])
  })

  it("names every field of a retry schedule", () => {
    const fields = RetryJson.members.flatMap((member) => Object.keys(member.fields))
    assert.deepStrictEqual(unnamed(section("Retry"), fields), [])
    for (const { fields: { type } } of RetryJson.members) assert.include(section("Retry"), `| \`${type.literal}\` |`)
  })

  it.effect("names every form and test of a filter", () =>
    Effect.gen(function*() {
      const told = yield* Effect.forEach([{}, { field: "payload.a" }], (filter) => Effect.flip(Filter.decode(filter)))
      const names = told.flatMap(({ message }) =>
        message.replace(/^Expected (one of|a test beside field:) /u, "").split(/, | and /u)
      )
      assert.includeMembers(names, ["all", "field", "exists", "atMost"])
      assert.deepStrictEqual(unnamed(section("Filter"), names), [])
    }))

  it.effect("names all that a template can use, and nothing that it can't", () =>
    Effect.gen(function*() {
      const context = Template.contextOf({
        deliveryId: yield* Id.deliveryId(0),
        message: {
          id: yield* Id.messageId(0),
          eventId: "incident.incident.created",
          tenantId: "default",
          timestampMs: 0,
          payloadJson: "{}"
        },
        subscription: { id: yield* Id.subscriptionId(0), name: "a" }
      })
      const filters = Object.keys(TemplateEngine.make("none").filters)
      assert.deepStrictEqual(
        unnamed(section("Templates"), [...Object.keys(context), ...TemplateEngine.tags, ...filters]),
        []
      )
      const listed = section("Templates").split("\n").filter((line) => /^(- of |  `)/u.test(line)).join("\n")
      const names = [...listed.matchAll(/`(\w+)`/gu)].map(([, name = ""]) => name)
      assert.deepStrictEqual(names.filter((name) => !filters.includes(name)), [])
      for (const name of reference.match(/`(event|subscription)\.\w+`/gu) ?? []) {
        yield* Template.compile(`{{ ${name.slice(1, -1)} }}`, "text")
      }
    }))

  it("names every field of the routes that try and that rotate", () => {
    const fields = [PreviewInput, RotationInput].flatMap((input) => Object.keys(input.fields))
    assert.deepStrictEqual(unnamed(section("Routes"), fields), [])
  })

  it("tells the limits as they are", () => {
    const thousands = (n: number) => n.toLocaleString("en-US")
    for (
      const limit of [
        `up to ${defaults.nameLength} characters`,
        `up to ${defaults.descriptionLength} characters`,
        `1 to ${defaults.eventPatterns} event ids`,
        `up to ${defaults.retryDelays} of them`,
        `attempts in all (up to ${defaults.attemptsPerDelivery})`,
        `is one of these, up to ${defaults.filterValues}`,
        `${defaults.filterDepth} levels, ${defaults.filterConditions} conditions and ${
          defaults.filterBytes / 1024
        } KiB`,
        `${thousands(defaults.templateLength)} characters`,
        `${thousands(defaults.templateOutputLength)}; rendering takes at most ${defaults.templateRenderMs} ms`,
        `${defaults.requestTimeoutMs} when left out`
      ]
    ) assert.include(reference.replaceAll(/\s+/gu, " "), limit)
  })

  it.effect("shows a subscription and a filter that are accepted", () =>
    Effect.gen(function*() {
      const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(SubscriptionInput))
      const [subscription = "", filter = "", ...more] = blocks(reference, "json")
      assert.isEmpty(more)
      const { create } = yield* Subscriptions
      const { signingSecret: _, ...input } = yield* decode(subscription)
      yield* create({ ...input, filter: yield* Schema.decodeEffect(Json)(filter) })
      yield* create(input)
    }).pipe(Effect.provide(world)))
})

describe("the guides", () => {
  it("show the example of a provider as it is", () => {
    assert.include(
      blocks(read("docs/guides/writing-a-provider.md"), "ts file=matrix.ts"),
      read("examples/custom-provider/matrix.ts")
    )
  })

  it("show the tests of the example as they are, which run with the others", () => {
    const page = read("docs/guides/testing.md")
    for (
      const [info, file] of [["ts", "incident.ts"], ["ts no-run", "endpoint.test.ts"], [
        "ts no-run",
        "incident.test.ts"
      ]]
    ) {
      assert.include(blocks(page, `${info} file=${file}`), read(`examples/property-test/${file}`))
    }
  })

  it("link to pages and headings that there are", () => {
    const pages = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/subscriptions.md", "docs/api.md"]
      .concat(
        Fs.readdirSync(Path.join(root, "docs/guides")).map((page) => `docs/guides/${page}`)
      )
    const anchors = (page: string) =>
      [...read(page).matchAll(/^#+ (.*)$/gmu)].map(([, title = ""]) =>
        title.toLowerCase().replaceAll(/[^\w\- ]/gu, "").replaceAll(" ", "-")
      )
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/gu)].filter(([, path = "", anchor]) => {
        const target = path === "" ? page : Path.join(Path.dirname(page), path)
        return !Fs.existsSync(Path.join(root, target)) || (anchor !== undefined && !anchors(target).includes(anchor))
      }).map(([link]) => `${page}: ${link}`)
    )
    assert.deepStrictEqual(broken, [])
  })
})
