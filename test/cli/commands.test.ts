import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { call } from "../support/cli.ts"
import { folder, hookline, madeDataDir, run, until } from "../support/process.ts"
import { adminKey, config, freePort, get, ready, receiver, startArgs } from "../support/runner.ts"

/** A runner that serves, the environment by which commands find it, and a receiver. */
class Running extends Context.Service<Running, {
  readonly url: string
  readonly env: Record<string, string>
  readonly dataDir: string
  readonly endpoint: Effect.Success<typeof receiver>
}>()("test/Running") {}

const runner = Layer.effect(
  Running,
  Effect.gen(function*() {
    const dataDir = yield* madeDataDir
    const port = yield* freePort
    const endpoint = yield* receiver
    yield* hookline(startArgs({ port, dataDir }), { HOOKLINE_ADMIN_KEY: adminKey, HOOKLINE_ATTEMPTS_DAYS: "14" })
    yield* until("the runner is ready", ready(port))
    const url = `http://127.0.0.1:${port}`
    return {
      url,
      env: {
        HOOKLINE_URL: url,
        HOOKLINE_ADMIN_KEY: adminKey,
        HOOKLINE_DATA_DIR: dataDir
      },
      dataDir,
      endpoint
    }
  })
)

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const Items = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Record(Schema.String, Schema.Json)),
  nextCursor: Schema.NullOr(Schema.String)
}))

const json = (text: string) => Schema.decodeUnknownSync(Json)(text)

const items = (text: string) => Schema.decodeUnknownSync(Items)(text).items

/** Waits until so many deliveries of a subscription are in a state. */
const recorded = (id: string, status: string, count: number) =>
  Effect.flatMap(Running, ({ url }) =>
    until(
      `${count} deliveries are ${status}`,
      Effect.map(
        get(`${url}/api/v1/deliveries?subscriptionId=${id}&status=${status}`),
        ({ text }) => items(text).length === count
      )
    ))

/** A command that succeeds; what it printed. */
const succeeds = Effect.fnUntraced(function*(args: ReadonlyArray<string>, input?: string) {
  const { env } = yield* Running
  const result = yield* call(args, env, input)
  assert.strictEqual(result.code, 0, `${args.join(" ")}: ${result.stderr}`)
  return result
})

/** A command that fails with one sentence on stderr, which holds each of the texts, and nothing else. */
const fails = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  texts: ReadonlyArray<string>,
  env: Record<string, string> = {},
  input?: string
) {
  const { env: usual } = yield* Running
  const result = yield* call(args, { ...usual, ...env }, input)
  assert.strictEqual(result.code, 1, args.join(" "))
  assert.strictEqual(result.stdout, "")
  assert.match(result.stderr, /^hookline: [^\n]+\n$/u)
  for (const text of texts) assert.include(result.stderr, text)
})

const payload = {
  incidentId: "i-1",
  systemIds: ["web"],
  title: "Checkout is down",
  severity: "major",
  status: "open",
  createdAt: "2026-01-31T12:00:00Z"
}

const created = "incident.incident.created"

/** A well-formed id of nothing. */
const unknown = (prefix: string) => `${prefix}_${"0".repeat(12)}7${"0".repeat(3)}8${"0".repeat(15)}`

describe("the command line against a runner", () => {
  layer(runner, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("a subscription is changed, by flags and by a file, and what changes nothing is refused", () =>
      Effect.gen(function*() {
        const made = yield* succeeds(["subscribe", "https://example.com/hooks", "--events", "incident.*", "--json"])
        const id = String(json(made.stdout)["id"])
        const update = (...args: ReadonlyArray<string>) => succeeds(["subscriptions", "update", id, ...args])
        const filter = { field: "payload.severity", equals: "major" }
        yield* update("--name", "B", "--events", `${created}, maintenance.*`, "--filter", JSON.stringify(filter))
        const config = JSON.stringify({ timeoutMs: 5000 })
        const changed = json((yield* update("--config", config, "--retry-delays", "1s,5s", "--json")).stdout)
        assert.deepInclude(changed, {
          name: "B",
          events: [created, "maintenance.*"],
          filter,
          config: { url: "https://example.com/hooks", timeoutMs: 5000 },
          retry: { type: "delays", delaysMs: [1000, 5000] }
        })
        const change = JSON.stringify({ filter: null, maxConcurrency: 3 })
        const last = json((yield* succeeds(["subscriptions", "update", id, "--file", "-", "--json"], change)).stdout)
        assert.deepInclude(last, { name: "B", maxConcurrency: 3 })
        assert.notProperty(last, "filter")
        yield* fails(["subscriptions", "update", id], ["Say what changes"])
        yield* fails(["subscriptions", "update", id, "--file", "x.json", "--name", "C"], ["leave the other flags out"])
        yield* fails(["subscriptions", "update", id, "--file", "-"], ["nmae"], {}, JSON.stringify({ nmae: "C" }))
        yield* succeeds(["subscriptions", "delete", id])
      }))

    it.effect("a filter and a schedule are tried before they are saved", () =>
      Effect.gen(function*() {
        const filter = JSON.stringify({ field: "payload.severity", equals: "major" })
        const on = (severity: string) => [
          "subscriptions",
          "test-filter",
          filter,
          "--event",
          created,
          "--payload",
          JSON.stringify({ ...payload, severity })
        ]
        assert.strictEqual((yield* succeeds(on("major"))).stdout, `It holds for ${created}.\n`)
        yield* fails(on("minor"), ["It does not hold", "payload.severity"])
        yield* fails(["subscriptions", "test-filter", filter], ["--event or --message"])
        const shown = yield* succeeds(["subscriptions", "preview-schedule", "1s,30s,5m"])
        assert.match(shown.stdout, /^4 +5m +5\.5m$/mu)
        const json = yield* succeeds(["subscriptions", "preview-schedule", "seed", "--json"])
        assert.include(json.stdout, "\"delaysMs\"")
        yield* fails(["subscriptions", "preview-schedule", "soon"], ["is no delay"])
        yield* fails(["subscriptions", "preview-schedule", "{\"type\":\"delays\"}"], ["schedule.delaysMs"])
      }))

    it.effect("a key is shown without itself", () =>
      Effect.gen(function*() {
        const made = json((yield* succeeds(["keys", "create", "--name", "one", "--scope", "read", "--json"])).stdout)
        const shown = yield* succeeds(["keys", "get", String(made["id"])])
        assert.match(shown.stdout, /^scopes +read$/mu)
        assert.notInclude(shown.stdout, String(made["key"]))
      }))

    it.effect("events are listed, and one is shown with its properties and schema", () =>
      Effect.gen(function*() {
        const list = yield* succeeds(["events"])
        assert.match(list.stdout, /^EVENT +CATEGORY +NAME +DESCRIPTION\n/u)
        assert.match(
          list.stdout,
          /^incident\.incident\.created +Incidents +Incident Created +An incident was opened$/mu
        )
        const one = yield* succeeds(["events", created])
        assert.match(one.stdout, /^payload\.systemIds\[n\] +string$/mu)
        assert.include(one.stdout, "\"required\"")
        const document = json((yield* succeeds(["events", created, "--json"])).stdout)
        assert.deepInclude(document, { id: created, displayName: "Incident Created" })
        assert.deepInclude(document["availableProperties"], { path: "payload.title", type: "string" })
        assert.include(items((yield* succeeds(["events", "--json"])).stdout).map((event) => event["id"]), created)
        yield* fails(["events", "incident.incident.craeted"], [`did you mean "${created}"?`])
      }), 60_000)

    it.effect("plugins are listed with what they bring", () =>
      Effect.gen(function*() {
        const { stdout } = yield* succeeds(["plugins"])
        assert.match(stdout, /^incident +event +incident\.incident\.created$/mu)
        assert.match(stdout, /^webhook +provider +webhook\.webhook$/mu)
        const document = items((yield* succeeds(["plugins", "--json"])).stdout)
        assert.deepInclude(document, {
          id: "webhook",
          hooks: [],
          events: [],
          providers: ["webhook.webhook"],
          handlers: [],
          missingOn: []
        })
      }), 60_000)

    it.effect(
      "a webhook is subscribed by flags, emitted to in each way, and its deliveries are shown",
      () =>
        Effect.gen(function*() {
          const { endpoint } = yield* Running
          const url = `http://127.0.0.1:${endpoint.port}/`
          const { stderr, stdout } = yield* succeeds([
            "subscribe",
            url,
            "--events",
            `${created},maintenance.*`,
            "--events",
            "healthcheck.*",
            "--name",
            "All of them",
            "--auth-header",
            "X-Api-Key: pl4nted",
            "--retry-delays",
            "500ms,1.5s,2m,1h,1d",
            "--timeout-ms",
            "5000"
          ])
          const id = /^subscription +(sub_\w+)$/mu.exec(stdout)?.[1] ?? ""
          assert.match(stdout, /^signing secret +whsec_/mu)
          assert.include(stderr, "not shown again")
          const shown = json((yield* succeeds(["subscriptions", "get", id, "--json"])).stdout)
          assert.deepInclude(shown, {
            name: "All of them",
            events: [created, "maintenance.*", "healthcheck.*"],
            retry: { type: "delays", delaysMs: [500, 1500, 120_000, 3_600_000, 86_400_000] },
            config: { url, authType: "header", authHeaderName: "X-Api-Key", timeoutMs: 5000 }
          })

          const file = Path.join((yield* Running).dataDir, "payload.json")
          Fs.writeFileSync(file, JSON.stringify(payload))
          const flag = yield* succeeds([
            "emit",
            created,
            "--payload",
            JSON.stringify(payload),
            "--idempotency-key",
            "k"
          ])
          const messages = [
            flag.stdout,
            (yield* succeeds(["emit", created, "--file", file, "--ordering-key", "o"])).stdout,
            (yield* succeeds(["emit", created], JSON.stringify(payload))).stdout,
            (yield* succeeds(["emit", created, "--file", "-", "--tenant", "default"], JSON.stringify(payload))).stdout
          ].map((text) => text.trim())
          for (const message of messages) assert.match(message, /^msg_[0-9a-f]{32}$/u)
          assert.include(flag.stderr, `hookline deliveries --message ${messages[0]}`)
          const again = yield* succeeds(["emit", created, "--idempotency-key", "k", "--json"], JSON.stringify(payload))
          assert.deepStrictEqual(json(again.stdout), { id: messages[0] ?? "" })
          yield* until("all have arrived", Effect.sync(() => messages.every((message) => endpoint.seen.has(message))))

          const success = ["--subscription", id, "--status", "success"]
          yield* recorded(id, "success", 4)
          const page = yield* succeeds(["deliveries", ...success, "--limit", "3", "--from", "2020-01-01"])
          assert.strictEqual(page.stdout.trim().split("\n").length, 4)
          const cursor = /--cursor (dlv_\w+)/u.exec(page.stderr)?.[1] ?? ""
          const rest = yield* succeeds(["deliveries", ...success, "--limit", "3", "--cursor", cursor])
          assert.strictEqual(rest.stdout.trim().split("\n").length, 2)

          const stats = yield* succeeds(["stats", "--hours", "2", "--subscription", id])
          assert.match(stats.stdout, /^waiting now +0 pending, 0 retrying$/mu)
          assert.match(stats.stdout, /^ +DELIVERIES +SUCCESS +FAILED +CANCELLED +ATTEMPTS\nall +4 +4 +0 +0 +4$/mu)
          assert.match(stats.stdout, new RegExp(`^${id} All of them +4 +4 +0 +0 +4$`, "mu"))
          const counted = json((yield* succeeds(["stats", "--provider", "no.such", "--json"])).stdout)
          assert.deepInclude(counted["totals"], { deliveries: 0, attempts: 0 })
          assert.strictEqual(rest.stderr, "")
          const none = yield* succeeds(["deliveries", "--event", "nothing"])
          assert.strictEqual(none.stdout, "")

          const [delivery = {}] = items(
            (yield* succeeds(["deliveries", "--message", messages[0] ?? "", "--json"])).stdout
          )
          const detail = yield* succeeds(["deliveries", String(delivery["id"])])
          assert.match(detail.stdout, /^status +success$/mu)
          assert.match(detail.stdout, /^1 .* success +204 .*first byte \d+\.\d/mu)
          yield* fails(["retry", String(delivery["id"])], ["Only a failed or cancelled delivery"])
          const why = yield* succeeds(["explain", messages[0] ?? ""])
          assert.match(why.stdout, /^matched +\d+$/mu)
          assert.match(why.stdout, new RegExp(`^${id} +All of them +success +success after 1 attempt +dlv_`, "mu"))

          assert.include((yield* succeeds(["subscriptions", "disable", id])).stdout, "is disabled")
          assert.match(
            (yield* succeeds(["subscriptions", "list", "--enabled", "false"])).stdout,
            /All of them +disabled/u
          )
          assert.include((yield* succeeds(["subscriptions", "enable", id])).stdout, "is enabled")
          assert.include((yield* succeeds(["subscriptions", "delete", id])).stdout, "is deleted")
          yield* fails(["subscriptions", "get", id], ["There is no subscription"])
        }),
      180_000
    )

    it.effect("anything is subscribed from a file, and a failed delivery is retried", () =>
      Effect.gen(function*() {
        const { url } = yield* Running
        const port = yield* freePort
        const input = {
          name: "from a file",
          events: ["maintenance.*"],
          providerId: "webhook.webhook",
          config: { url: `http://127.0.0.1:${port}/` },
          retry: { type: "delays", delaysMs: [] }
        }
        const made = json((yield* succeeds(["subscribe", "--file", "-", "--json"], JSON.stringify(input))).stdout)
        assert.match(String(made["signingSecret"]), /^whsec_/u)
        const maintenance = { maintenanceId: "m", systemIds: [], title: "t", status: "s", startAt: "a", endAt: "b" }
        yield* succeeds(["emit", "maintenance.maintenance.created", "--payload", JSON.stringify(maintenance)])
        const failed = ["deliveries", "--subscription", String(made["id"]), "--status", "failed"]
        yield* recorded(String(made["id"]), "failed", 1)
        const { stdout } = yield* succeeds(failed)
        assert.match(stdout, / failed +1 +exhausted: .*ECONNREFUSED/u)
        const id = /dlv_\w+/u.exec(stdout)?.[0] ?? ""
        assert.include((yield* succeeds(["retry", id])).stdout, `${id} is due now`)
        yield* until(
          "it was attempted again",
          Effect.map(get(`${url}/api/v1/deliveries/${id}`), ({ text }) => json(text)["attemptCount"] === 2)
        )
      }), 120_000)

    it.effect(
      "a subscription is tried with an example or what is given; whether it was accepted is told by the exit code",
      () =>
        Effect.gen(function*() {
          const { endpoint } = yield* Running
          const port = yield* freePort
          const subscribed = (url: string) =>
            Effect.map(
              succeeds(["subscribe", url, "--events", "incident.*", "--disabled", "--json"]),
              ({ stdout }) => String(json(stdout)["id"])
            )
          const [there, gone] = [
            yield* subscribed(`http://127.0.0.1:${endpoint.port}/`),
            yield* subscribed(`http://127.0.0.1:${port}/`)
          ]
          const { stdout } = yield* succeeds(["subscriptions", "test", there])
          assert.match(stdout, /^outcome +success$/mu)
          assert.match(stdout, /^event +incident\.incident\./mu)
          const payload = JSON.stringify({
            incidentId: "tried",
            systemIds: [],
            title: "t",
            severity: "high",
            status: "s",
            resolvedAt: "now"
          })
          const given = ["subscriptions", "test", there, "--event", "incident.incident.resolved", "--payload", payload]
          assert.deepInclude(json((yield* succeeds([...given, "--json"])).stdout), {
            outcome: "success",
            eventId: "incident.incident.resolved"
          })
          const { env } = yield* Running
          const failed = yield* call(["subscriptions", "test", gone], env)
          assert.strictEqual(failed.code, 1)
          assert.match(failed.stdout, /^error +\w+: .*ECONNREFUSED/mu)
          assert.strictEqual(failed.stderr, "hookline: The endpoint did not accept it.\n")
        }),
      60_000
    )

    it.effect(
      "messages are listed and shown with their payloads; one that was not set aside is not routed again",
      () =>
        Effect.gen(function*() {
          const payload = {
            incidentId: "listed",
            systemIds: [],
            title: "t",
            severity: "high",
            status: "s",
            createdAt: "now"
          }
          const emitted = yield* succeeds([
            "emit",
            "incident.incident.created",
            "--tenant",
            "lists",
            "--payload",
            JSON.stringify(payload)
          ])
          const id = /msg_\w+/u.exec(emitted.stdout)?.[0] ?? ""
          const list = ["messages", "list", "--tenant", "lists"]
          assert.match((yield* succeeds(list)).stdout, new RegExp(`^${id} +incident.incident.created +lists `, "mu"))
          assert.deepStrictEqual(items((yield* succeeds([...list, "--json"])).stdout).map((item) => item["id"]), [id])
          const shown = (yield* succeeds(["messages", "get", id])).stdout
          assert.match(shown, /^tenant +lists$/mu)
          assert.include(shown, "\"incidentId\": \"listed\"")
          const { env } = yield* Running
          const again = yield* call(["messages", "retry", id], env)
          assert.deepStrictEqual([again.code, again.stderr.includes("set aside")], [1, true], again.stderr)
        }),
      60_000
    )

    it.effect(
      "a blocked key is seen, and goes on when its first delivery is skipped or retried",
      () =>
        Effect.gen(function*() {
          const port = yield* freePort
          const limits = ["--ordered", "--max-concurrency", "2", "--rate-limit", "100/1s", "--burst", "10"]
          const subscribe = ["subscribe", `http://127.0.0.1:${port}/`, "--events", "incident.*", "--retry-delays", "1h"]
          const made = json((yield* succeeds([...subscribe, ...limits, "--json"])).stdout)
          const id = String(made["id"])
          assert.deepInclude(made, {
            ordered: true,
            maxConcurrency: 2,
            rateLimit: { messages: 100, intervalMs: 1000, burst: 10 }
          })
          const shown = (yield* succeeds(["subscriptions", "get", id])).stdout
          assert.match(shown, /^ordered +by ordering key$/mu)
          assert.match(shown, /^rate limit +100 in 1000 ms, 10 at once$/mu)
          const text = JSON.stringify({ ...payload, incidentId: "blocked" })
          const { statusChange: _, ...update } = { ...payload, incidentId: "blocked", statusChange: "" }
          yield* succeeds(["emit", created, "--payload", text])
          for (const _ of [1, 2]) {
            yield* succeeds(["emit", "incident.incident.updated", "--payload", JSON.stringify(update)])
          }
          const blocked = Effect.map(
            succeeds(["subscriptions", "blocked", id]),
            ({ stdout }) => /^blocked +(dlv_\w+) +1 +\S+ +(\d) +.*ECONNREFUSED/mu.exec(stdout)
          )
          yield* recorded(id, "retrying", 1)
          yield* until("both others wait behind it", Effect.map(blocked, (found) => found?.[2] === "2"))
          const [, first = ""] = (yield* blocked) ?? []
          const behind = (yield* succeeds(["deliveries", "--subscription", id, "--reason", "blocked", "--json"])).stdout
          assert.strictEqual(items(behind).length, 2)
          assert.include((yield* succeeds(["skip", first])).stdout, `${first} is skipped`)
          yield* fails(["skip", first], ["Only a delivery that waits can be skipped"])
          yield* until("the next is the first now", Effect.map(blocked, (found) => found?.[2] === "1"))
          const [, second = ""] = (yield* blocked) ?? []
          assert.notStrictEqual(second, first)
          yield* succeeds(["retry", second])
          yield* until(
            "it was attempted again",
            Effect.map(succeeds(["deliveries", second, "--json"]), ({ stdout }) => json(stdout)["attemptCount"] === 2)
          )
          yield* succeeds(["subscriptions", "delete", id])
        }),
      120_000
    )

    it.effect(
      "what has failed is counted, replayed and waited for; replays are shown, and their switches",
      () =>
        Effect.gen(function*() {
          const port = yield* freePort
          const event = "maintenance.maintenance.created"
          const target = `http://127.0.0.1:${port}/`
          const made = json(
            (yield* succeeds(["subscribe", target, "--events", event, "--retry-delays", "1ms", "--json"])).stdout
          )
          const id = String(made["id"])
          const maintenance = { maintenanceId: "m", systemIds: [], title: "t", status: "s", startAt: "a", endAt: "b" }
          const line = (extra: object) => JSON.stringify({ eventId: event, payload: maintenance, ...extra })
          const batch = `${line({ idempotencyKey: "r1" })}\n\n${line({})}\n${line({ idempotencyKey: "r1" })}\n`
          const emitted = (yield* succeeds(["emit", "--batch", "-"], batch)).stdout.trim().split("\n")
          assert.strictEqual(emitted.length, 3)
          assert.strictEqual(emitted[0], emitted[2])
          yield* recorded(id, "failed", 2)
          const filter = ["--subscription", id, "--from", "2020-01-01"]
          assert.include((yield* succeeds(["replay", ...filter, "--dry-run"])).stdout, "would deliver 2 again")
          assert.deepStrictEqual(json((yield* succeeds(["replay", ...filter, "--dry-run", "--json"])).stdout), {
            matched: 2
          })
          const waited = yield* succeeds(["replay", ...filter, "--fresh-webhook-id", "--wait"])
          const replay = waited.stdout.trim()
          assert.match(replay, /^rpl_[0-9a-f]{32}$/u)
          assert.include(waited.stderr, "2 are due again, 0 were skipped.")
          const shown = (yield* succeeds(["replays", "get", replay])).stdout
          assert.match(shown, /^state +completed$/mu)
          assert.match(shown, /^webhook-id +of its own$/mu)
          assert.match(
            (yield* succeeds(["replays", "list", "--state", "completed"])).stdout,
            new RegExp(`^${replay} .* completed +2 +0 .* subscriptionId=${id} `, "mu")
          )
          yield* Effect.all([
            fails(["replays", "pause", replay], ["this one is completed"]),
            fails(["replays", "get", unknown("rpl")], ["There is no replay"]),
            fails(["replay"], ["filter: Expected at least one of subscriptionId, eventId, messageId, from"]),
            fails(["emit"], ["--batch"]),
            fails(["emit", event, "--batch", "-"], ["leave the event and the other flags out"]),
            fails(
              ["emit", "--batch", "-"],
              ["Line 2 of Standard input is no message: evnetId"],
              {},
              `${line({})}\n{"evnetId":1}`
            ),
            fails(["emit", "--batch", "-"], ["Line 1 of Standard input is no JSON"], {}, "{oops"),
            fails(["emit", "--batch", "-"], ["has 0 messages"], {}, "\n"),
            fails(
              ["emit", "--batch", "-"],
              ["messages[1].payload.maintenanceId"],
              {},
              `${line({})}\n${line({ payload: {} })}`
            )
          ], { concurrency: 3 })
          yield* succeeds(["subscriptions", "delete", id])
        }),
      120_000
    )

    it.effect(
      "what is kept is shown, the terms of tenants are changed, and all of it is applied",
      () =>
        Effect.gen(function*() {
          const shown = (yield* succeeds(["retention"])).stdout
          assert.match(shown, /^history is kept for +30 days\nattempts +14 days$/mu)
          assert.match(shown, /^messages +\d+ +\d{4}-\d\d-\d\d +[\d.]+ (KiB|MiB) +about \d+$/mu)
          assert.notInclude(shown, "EXPIRED")
          const set = ["retention", "set", "--tenant", "shorter"]
          assert.include((yield* succeeds([...set, "--days", "7"])).stdout, "emptied after 7 days")
          assert.deepStrictEqual(json((yield* succeeds([...set, "--days", "1", "--json"])).stdout), {
            tenantId: "shorter",
            keptDays: 1
          })
          assert.match((yield* succeeds(["retention"])).stdout, /^bodies of shorter +1 day$/mu)
          assert.deepInclude(json((yield* succeeds(["retention", "--json"])).stdout), {
            expired: [],
            tenants: [{ tenantId: "shorter", keptDays: 1 }]
          })
          assert.include((yield* succeeds(["retention", "apply"])).stdout, "No day was dropped.")
          assert.deepStrictEqual(json((yield* succeeds(["retention", "apply", "--json"])).stdout), {
            dropped: [],
            bodiesEmptied: 0,
            more: false
          })
          yield* succeeds(["retention", "unset", "--tenant", "shorter"])
          yield* fails(["retention", "unset", "--tenant", "shorter"], ["There is no term of a tenant"])
          yield* fails(["retention", "set", "--tenant", "*", "--days", "7"], ["There is no tenant"])
        }),
      60_000
    )

    it.effect("a hot event is shared out to partitions, and delivered", () =>
      Effect.gen(function*() {
        const { endpoint } = yield* Running
        const event = "maintenance.maintenance.updated"
        assert.include((yield* succeeds(["partitions", event])).stdout, "shared out to 1.")
        assert.include((yield* succeeds(["partitions", event, "3"])).stdout, "shared out to 3.")
        assert.deepStrictEqual(json((yield* succeeds(["partitions", event, "--json"])).stdout), { partitions: 3 })
        yield* fails(["partitions", event, "65"], ["partitions"])
        yield* fails(["partitions", "no.such", "2"], ["There is no event"])
        const url = `http://127.0.0.1:${endpoint.port}/partitioned`
        const made = json((yield* succeeds(["subscribe", url, "--events", event, "--json"])).stdout)
        const update = { systemIds: [], title: "t", status: "s", startAt: "a", endAt: "b", action: "updated" }
        for (const n of [1, 2, 3, 4, 5, 6]) {
          yield* succeeds(["emit", event, "--payload", JSON.stringify({ ...update, maintenanceId: `m-${n}` })])
        }
        yield* recorded(String(made["id"]), "success", 6)
        yield* succeeds(["partitions", event, "1"])
        yield* succeeds(["subscriptions", "delete", String(made["id"])])
      }), 120_000)

    it.effect(
      "a key is made for what it is to do, used and revoked, and the audit log tells of it",
      () =>
        Effect.gen(function*() {
          const made = yield* succeeds(["keys", "create", "--name", "ci", "--scope", "emit", "--scope", "read"])
          const key = made.stdout.trim()
          assert.match(key, /^hk_[\w-]{43}$/u)
          assert.include(made.stderr, "shown only now")
          const list = yield* succeeds(["keys", "list"])
          assert.match(list.stdout, /^key_\w+ +ci +hk_[\w-]{8} +emit, read +all +good/mu)
          assert.notInclude(list.stdout, key)
          yield* succeeds(["events", "--key", key])
          yield* fails(["subscriptions", "disable", unknown("sub"), "--key", key], ["scope \"manage\""])
          yield* fails(["keys", "create", "--name", "x", "--scope", "emit", "--expires-at", "2001-01-01"], [
            "expiresAt"
          ])
          const [found] = items((yield* succeeds(["keys", "list", "--json"])).stdout)
          const id = String(found?.["id"])
          yield* succeeds(["keys", "revoke", id])
          yield* fails(["events", "--key", key], ["refuses the key"])
          const log = yield* succeeds(["audit", "--resource", id])
          assert.match(log.stdout, /admin-key +key\.revoke +key_\w+/u)
          assert.match(log.stdout, /admin-key +key\.create +key_\w+/u)
        }),
      60_000
    )

    it.effect("limits are checked before anything is sent", () =>
      Effect.gen(function*() {
        const subscribe = ["subscribe", "http://127.0.0.1:1/", "--events", "incident.*"]
        yield* fails([...subscribe, "--rate-limit", "fast"], ["--rate-limit fast", "50/s"])
        yield* fails([...subscribe, "--burst", "3"], ["--rate-limit"])
        yield* fails([...subscribe, "--rate-limit", "0/s"], ["rateLimit.messages"])
        yield* fails([...subscribe, "--max-concurrency", "0"], ["maxConcurrency"])
      }))

    it.effect(
      "the exact request is shown of a subscription, of what may become one, and of a past message, and nothing is sent",
      () =>
        Effect.gen(function*() {
          const { endpoint } = yield* Running
          const url = `http://127.0.0.1:${endpoint.port}/previewed`
          const auth = ["--auth-header", "X-Api-Key: pl4nted"]
          const subscription = {
            name: "a",
            events: ["maintenance.*"],
            providerId: "webhook.webhook",
            config: { url: `${url}/{{ payload.maintenanceId }}` }
          }
          const { stdout } = yield* succeeds(["subscribe", url, "--events", "system.*,incident.*", "--json", ...auth])
          const id = String(json(stdout)["id"])
          yield* succeeds(["subscriptions", "disable", id])
          const message = (yield* succeeds(["emit", created, "--payload", JSON.stringify(payload)])).stdout.trim()
          const sent = endpoint.seen.size

          const stored = (yield* succeeds(["preview", id])).stdout
          assert.match(
            stored,
            new RegExp(`^event +${created}\nrequest +POST ${url}\n\ncontent-type +application/json\n`, "u")
          )
          assert.match(stored, /^webhook-signature +v1,\S+$/mu)
          assert.match(stored, /^X-Api-Key +\*\*\*$/mu)
          assert.notInclude(stored, "pl4nted")
          assert.match(stored, /\n\n\{"type":"incident\.incident\.created",.*"title":"Checkout is down".*\}\n$/u)
          assert.match((yield* succeeds(["preview", id, "--message", message])).stdout, /"title":"Checkout is down"/u)
          const given = ["--event", created, "--payload", JSON.stringify({ ...payload, title: "Search is down" })]
          assert.match((yield* succeeds(["preview", url, ...auth, ...given])).stdout, /"title":"Search is down"/u)
          const file = yield* succeeds(["preview", "--file", "-", "--json"], JSON.stringify(subscription))
          assert.match(String(json(file.stdout)["eventId"]), /^maintenance\./u)
          assert.include(file.stdout, `"url": "${url}/maintenanceId"`)
          assert.strictEqual(endpoint.seen.size, sent)
        }),
      120_000
    )

    it.effect(
      "a signing secret is rotated: the new one is shown, and the old one signs too while they overlap",
      () =>
        Effect.gen(function*() {
          const subscribe = ["subscribe", "http://127.0.0.1:1/", "--events", "healthcheck.*", "--json"]
          const before = json((yield* succeeds(subscribe)).stdout)
          const id = String(before["id"])
          const signatures = Effect.map(
            succeeds(["preview", id]),
            ({ stdout }) => /^webhook-signature +(.*)$/mu.exec(stdout)?.[1]?.split(" ").length
          )
          const rotated = yield* succeeds(["subscriptions", "rotate-secret", id, "--overlap", "1h"])
          const secret = /^signing secret +(whsec_\S+)$/mu.exec(rotated.stdout)?.[1]
          assert.isDefined(secret)
          assert.notStrictEqual(secret, before["signingSecret"])
          assert.match(rotated.stderr, /not shown again\.\nThe old one signs too/u)
          assert.strictEqual(yield* signatures, 2)
          const own = ["--secret", String(before["signingSecret"])]
          const back = yield* succeeds(["subscriptions", "rotate-secret", id, "--overlap", "0s", "--json", ...own])
          assert.strictEqual(json(back.stdout)["signingSecret"], before["signingSecret"])
          assert.strictEqual(yield* signatures, 1)
          yield* Effect.all([
            fails(["subscriptions", "rotate-secret", id, "--overlap", "24"], ["\"24\" is no delay", "2h"]),
            fails(["subscriptions", "rotate-secret", id, "--overlap", "8d"], ["--overlap 8d is too long: at most 7d"]),
            fails(["subscriptions", "rotate-secret", unknown("sub")], ["There is no subscription"])
          ], { concurrency: 3 })
        }),
      120_000
    )

    it.effect("what is refused is told in one sentence that says what to do", () =>
      Effect.gen(function*() {
        const { dataDir } = yield* Running
        const target = "http://127.0.0.1:4690/"
        const secret = { name: "a", events: ["*"], providerId: "webhook.webhook", config: {}, signingSecrte: "x" }
        yield* Effect.all([
          fails(["events"], ["refuses the key from HOOKLINE_ADMIN_KEY", "--key"], { HOOKLINE_ADMIN_KEY: "wrong" }),
          fails(["events", "--url", `http://127.0.0.1:${yield* freePort}`], [
            "ECONNREFUSED",
            "hookline start",
            "--url"
          ]),
          fails(["events", "--url", "nonsense"], ["--url or HOOKLINE_URL"]),
          fails(["events", "--url", "https://hookline.invalid"], ["No key is known for https://hookline.invalid"], {
            HOOKLINE_ADMIN_KEY: ""
          }),
          fails(["events"], ["--dev keeps one in", "--data-dir"], { HOOKLINE_ADMIN_KEY: " " }),
          fails(["emit", "incident.incident.craeted", "--payload", "{}"], [`did you mean "${created}"?`]),
          fails(["emit", created, "--payload", "{\"incidentId\":1}"], ["payload.incidentId: Expected string"]),
          fails(["emit", created, "--payload", "{oops"], ["--payload is no JSON"]),
          fails(["emit", created], ["Standard input is no JSON"], {}, ""),
          fails(["emit", created, "--file", "nowhere.json"], ["nowhere.json can't be read"]),
          fails(["subscribe"], ["hookline subscribe https://example.com/hooks"]),
          fails(["subscribe", target], ["--events"]),
          fails(["subscribe", target, "--events", "*", "--retry-delays", "5"], ["\"5\" is no delay", "30s"]),
          fails(["subscribe", target, "--events", "*", "--auth-header", "nonsense"], ["X-Api-Key: abc"]),
          fails(["subscribe", "--file", "-", "--name", "a"], ["leave the other flags out"]),
          fails(["subscribe", "--file", "-"], ["signingSecrte: There is no such property"], {}, JSON.stringify(secret)),
          fails(["preview", "sub_1"], ["hookline preview sub_…", "--file"]),
          fails(["preview", target, "--event", "incident.incident.craeted"], [`did you mean "${created}"?`]),
          fails(["preview", target, "--payload", "{}"], ["--event"]),
          fails(["preview", target, "--message", unknown("msg"), "--event", created], ["--message is a whole message"]),
          fails(["preview", "--file", "-"], ["Standard input is no subscription", "providerId"], {}, "{}"),
          fails(["retry", unknown("dlv")], [`There is no delivery "${unknown("dlv")}"`]),
          fails(["explain", unknown("msg")], [`There is no message "${unknown("msg")}"`])
        ], { concurrency: 3 })
        assert.isFalse(Fs.existsSync(Path.join(dataDir, "admin-key")))
      }), 180_000)

    it.effect(
      "a key that a runner in development keeps is found, and is sent to this machine alone",
      () =>
        Effect.gen(function*() {
          const { env } = yield* Running
          const kept = yield* folder
          Fs.writeFileSync(Path.join(kept, "admin-key"), `${adminKey}\n`)
          const dev = { HOOKLINE_URL: env["HOOKLINE_URL"] ?? "", HOOKLINE_DATA_DIR: kept }
          assert.strictEqual((yield* run(["plugins"], dev)).code, 0)
          const away = yield* run(["plugins", "--url", "http://192.0.2.1:1"], dev)
          assert.include(away.stderr, "No key is known for http://192.0.2.1:1")
          Fs.writeFileSync(Path.join(kept, "admin-key"), "")
          yield* fails(["plugins"], ["admin-key is empty"], { ...dev, HOOKLINE_ADMIN_KEY: "" })
        }),
      60_000
    )

    it.effect("colours are for terminals, and texts from outside can't steer one", () =>
      Effect.gen(function*() {
        const { env } = yield* Running
        const name = "\u001b[31mred\u001b[0m\u0007\u009b2J\n"
        const input = { name, events: ["*"], providerId: "webhook.webhook", config: { url: "http://127.0.0.1:1/" } }
        yield* succeeds(["subscribe", "--file", "-"], JSON.stringify(input))
        const list = ["subscriptions", "list"]
        const piped = (yield* succeeds(list)).stdout
        assert.include(piped, "\\u001b[31mred\\u001b[0m\\u0007\\u009b2J\\n")
        assert.notMatch(piped, /[\p{Cc}](?<!\n)/u)
        const document = (yield* succeeds([...list, "--json"])).stdout
        assert.notMatch(document, /[\p{Cc}](?<!\n)/u)
        assert.include(items(document).map((item) => item["name"]), name)
        const forced = yield* run(list, { ...env, FORCE_COLOR: "1" })
        assert.include(forced.stdout, "\u001b[32menabled\u001b[0m")
        assert.notInclude(forced.stdout, "\u001b[31m")
        const plain = yield* run(list, { ...env, FORCE_COLOR: "1", NO_COLOR: "1" })
        // A circuit of another test may have become half-open meanwhile.
        assert.include([piped, (yield* succeeds(list)).stdout], plain.stdout)
      }), 60_000)

    it.effect(
      "doctor looks at it while it runs, and at its embedded PostgreSQL, which it leaves running",
      () =>
        Effect.gen(function*() {
          const { url } = yield* Running
          const { stdout } = yield* succeeds(["doctor", "--dev", "--port", new URL(url).port, "--config", config])
          assert.match(stdout, /^ok +embedded +PostgreSQL [\d.]+ runs in /mu)
          assert.match(stdout, /^ok +database +The embedded PostgreSQL answers$/mu)
          assert.match(stdout, /^ok +port +A runner listens at \S+ and is ready$/mu)
          assert.strictEqual((yield* get(`${url}/health/ready`)).status, 200)
        }),
      60_000
    )

    it.effect("a reader that has read enough is no failure", () =>
      Effect.gen(function*() {
        const { env } = yield* Running
        const { child, output } = yield* hookline(["events", "--json"], env)
        child.stdout.destroy()
        yield* until("it has ended", Effect.sync(() => output.closed))
        assert.strictEqual(child.exitCode, 0)
        assert.strictEqual(output.stderr, "")
      }), 60_000)

    it.effect(
      "completions are printed for each shell and know the commands and their flags",
      () =>
        Effect.gen(function*() {
          for (const shell of ["bash", "zsh", "fish"]) {
            const { stdout } = yield* succeeds(["--completions", shell])
            for (const word of ["doctor", "subscriptions", "idempotency-key", "standardWebhooks"]) {
              assert.include(stdout, word, shell)
            }
          }
        }),
      60_000
    )
  })
})
