import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Id from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Template from "../src/Template.ts"

const contextWith = (payload: Schema.Json): Template.Context => ({
  deliveryId: "dlv_1",
  eventType: "incident.incident.created",
  eventId: "incident.incident.created",
  timestamp: "2026-03-01T04:05:06.000Z",
  subscriptionId: "sub_1",
  subscriptionName: "On \"call\"",
  payload
})

// A busy machine may take long to render what is short.
const patient = Limits.layer({ templateRenderMs: 60_000 })

const compile = (source: string, mode: Template.Mode) => Effect.provide(Template.compile(source, mode), patient)

const render = Effect.fnUntraced(function*(source: string, payload: Schema.Json = {}, mode: Template.Mode = "text") {
  const template = yield* compile(source, mode)
  return yield* template.render(contextWith(payload))
})

const refusal = (source: string, mode: Template.Mode = "text") => Effect.flip(Template.compile(source, mode))

const failure = Effect.fnUntraced(function*(source: string, payload: Schema.Json = {}, mode: Template.Mode = "text") {
  const template = yield* Template.compile(source, mode)
  return yield* Effect.flip(template.render(contextWith(payload)))
})

const incident = {
  title: "Say \"hi\"\\\n\tä",
  count: 3,
  half: 0.5,
  open: false,
  none: null,
  system: { id: "s1", tags: ["a", "b"] },
  items: [{ id: 1, kind: "x" }, { id: 2, kind: "y" }]
}

describe("a template", () => {
  it.effect("reads the seed's names by their dotted paths", () =>
    Effect.gen(function*() {
      const names = ["deliveryId", "eventType", "eventId", "timestamp", "subscriptionId", "subscriptionName"] as const
      for (const name of names) {
        assert.strictEqual(yield* render(`{{ ${name} }}`), contextWith({})[name])
        assert.strictEqual(yield* render(`{{${name}}}`), contextWith({})[name])
      }
      assert.strictEqual(yield* render("<{{ payload.system.id }}>", incident), "<s1>")
      assert.strictEqual(yield* render("{{ payload.items.1.kind }}{{ payload.items[0].kind }}", incident), "yx")
    }))

  it.effect("reads event and subscription as objects too", () =>
    Effect.gen(function*() {
      const source = "{{ event.eventId }} {{ event.timestamp }} {{ event.deliveryId }} {{ event.payload.count }} " +
        "{{ subscription.id }} {{ subscription.name }}"
      assert.strictEqual(
        yield* render(source, incident),
        "incident.incident.created 2026-03-01T04:05:06.000Z dlv_1 3 sub_1 On \"call\""
      )
    }))

  it.effect("reads what an attempt tells", () =>
    Effect.gen(function*() {
      const ids = {
        message: yield* Id.messageId(0),
        delivery: yield* Id.deliveryId(0),
        of: yield* Id.subscriptionId(0)
      }
      const context = Template.contextOf({
        deliveryId: ids.delivery,
        message: {
          id: ids.message,
          eventId: "a.b",
          tenantId: "default",
          timestampMs: 1000,
          payloadJson: "{\"n\":[1]}"
        },
        subscription: { id: ids.of, name: "S" }
      })
      assert.deepStrictEqual(context, {
        deliveryId: ids.delivery,
        eventType: "a.b",
        eventId: "a.b",
        timestamp: "1970-01-01T00:00:01.000Z",
        subscriptionId: ids.of,
        subscriptionName: "S",
        payload: { n: [1] }
      })
    }))

  it.effect("writes a missing value and null as nothing, in every mode", () =>
    Effect.gen(function*() {
      const source =
        "[{{ payload.none }}{{ payload.missing }}{{ payload.title.far.away }}{{ payload.items[7].id }}{{ nil }}]"
      for (const mode of ["json", "header", "text"] as const) {
        assert.strictEqual(yield* render(source, { ...incident, title: "t" }, mode), "[]")
      }
      assert.strictEqual(
        yield* render("https://a.example/{{ payload.none }}{{ payload.missing }}", {}, "url"),
        "https://a.example/"
      )
    }))

  it.effect("has Liquid's filters, conditions and loops", () =>
    Effect.gen(function*() {
      const source =
        "{% for item in payload.items %}{{ forloop.index }}:{{ item.kind | upcase }}{% unless forloop.last %}, " +
        "{% endunless %}{% endfor %}{% if payload.count > 2 and payload.open == false %}!{% endif %}"
      assert.strictEqual(yield* render(source, incident), "1:X, 2:Y!")
      assert.strictEqual(yield* render("{{ payload.items | map: \"kind\" | join: \"+\" }}", incident), "x+y")
      assert.strictEqual(yield* render("{{ payload.missing | default: \"none\" }}", incident), "none")
      assert.strictEqual(
        yield* render("{% case payload.count %}{% when 3 %}three{% else %}other{% endcase %}", incident),
        "three"
      )
    }))

  it.effect("sees in a later turn of a loop what an earlier one assigned", () =>
    Effect.gen(function*() {
      const source = "{% for item in payload.items %}{{ last }}{% assign last = item.kind %}{% endfor %}"
      assert.strictEqual(yield* render(source, incident), "x")
    }))

  it.effect("writes times in UTC and in English, wherever it runs", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* render("{{ timestamp | date: \"%A %-d %B %Y, %H:%M %z\" }}"),
        "Sunday 1 March 2026, 04:05 +0000"
      )
      assert.strictEqual(yield* render("{{ timestamp | date: \"%H:%M\", \"Asia/Kolkata\" }}"), "09:35")
    }))

  it.effect("reads own properties only", () =>
    Effect.gen(function*() {
      const paths = [
        "payload.__proto__",
        "payload.constructor",
        "payload.constructor.name",
        "payload.toString",
        "nil.constructor"
      ]
      for (
        const path of [...paths, "payload.title.at", "payload[\"__proto__\"].x", "payload.items.map", "empty.equals"]
      ) {
        assert.strictEqual(yield* render(`[{{ ${path} }}]`, incident), "[]", path)
      }
      const loop =
        "{% for i in (1..2) %}{{ forloop.constructor }}{{ forloop.__proto__ }}{{ forloop.next }}{{ forloop.index }}{% endfor %}"
      assert.strictEqual(yield* render(loop), "12")
      const own: Schema.Json = JSON.parse("{\"__proto__\":{\"x\":1},\"constructor\":\"c\"}")
      assert.strictEqual(yield* render("{{ payload.__proto__.x }}{{ payload.constructor }}", own), "1c")
      assert.strictEqual(yield* render("{{ payload.items | where: \"constructor\" | size }}", incident), "0")
    }))

  it.effect("renders the same again, whatever an earlier rendering assigned or counted", () =>
    Effect.gen(function*() {
      const template = yield* compile(
        "{{ payload.n }}{% increment payload %}{% assign payload = 7 %}{% increment __proto__ %}",
        "text"
      )
      const context = contextWith({ n: 1 })
      assert.strictEqual(yield* template.render(context), "100")
      assert.strictEqual(yield* template.render(context), "100")
      assert.deepStrictEqual(context, contextWith({ n: 1 }))
    }))
})

describe("a template in JSON", () => {
  it.effect.prop(
    "is valid JSON whatever a string between quotes holds",
    [Schema.String],
    ([title]) =>
      Effect.gen(function*() {
        const json = yield* render(
          "{\"title\":\"{{ payload.title }}\",\"again\":\"<{{payload.title}}>\"}",
          { title },
          "json"
        )
        assert.deepStrictEqual(JSON.parse(json), { title, again: `<${title}>` })
      })
  )

  it.effect.prop("holds any value as complete JSON by the filter json, in every mode", [
    Schema.Json,
    Schema.Literals(["json", "text", "url"])
  ], ([value, mode]) =>
    Effect.gen(function*() {
      const payload: Schema.Json = JSON.parse(JSON.stringify({ value }))
      assert.deepStrictEqual({ value: JSON.parse(yield* render("{{ payload.value | json }}", payload, mode)) }, payload)
    }))

  it.effect("writes objects, lists, numbers and booleans as JSON", () =>
    Effect.gen(function*() {
      const source =
        "[{{ payload.system }}, {{ payload.items }}, {{ payload.count }}, {{ payload.half }}, {{ payload.open }}]"
      const { count, half, items, open, system } = incident
      assert.deepStrictEqual(JSON.parse(yield* render(source, incident, "json")), [system, items, count, half, open])
    }))

  it.effect("has null for what is missing by the filter json, and indents by its argument", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* render("{{ payload.missing | json }}", {}, "json"), "null")
      assert.strictEqual(yield* render("{{ payload | json: 2 }}", { a: 1 }), "{\n  \"a\": 1\n}")
    }))

  it.effect("is escaped once, also by tags that write, and not at all after raw", () =>
    Effect.gen(function*() {
      const payload = { t: "\"" }
      assert.strictEqual(yield* render("{% echo payload.t %}{% cycle payload.t %}", payload, "json"), "\\\"\\\"")
      assert.strictEqual(yield* render("{{ payload.t | raw }}", payload, "json"), "\"")
      assert.strictEqual(
        yield* render("{% capture a %}{{ payload.t }}{% endcapture %}{{ a | raw }}", payload, "json"),
        "\\\""
      )
    }))
})

describe("a template in a URL", () => {
  it.effect.prop(
    "keeps to its own host, path and parameters whatever a value holds",
    [Schema.String, Schema.String],
    ([a, b]) =>
      Effect.gen(function*() {
        const template = yield* compile("https://a.example:8443/in/{{ payload.a }}/x?b={{ payload.b }}&c=1", "url")
        const result = yield* Effect.result(template.render(contextWith({ a, b })))
        if (result._tag === "Failure") return assert.match(a, /^\.{1,2}$/u)
        const url = new URL(result.success)
        assert.strictEqual(url.origin, "https://a.example:8443")
        const [root, folder, segment = "", last, ...more] = url.pathname.split("/")
        assert.deepStrictEqual([root, folder, last, more], ["", "in", "x", []])
        assert.strictEqual(decodeURIComponent(segment), a.toWellFormed())
        assert.deepStrictEqual([...url.searchParams], [["b", b.toWellFormed()], ["c", "1"]])
        assert.strictEqual(url.hash, "")
      })
  )

  it.effect("fails where a value would climb out of its path", () =>
    Effect.gen(function*() {
      for (const a of [".", ".."]) {
        for (const rest of ["", "/", "/x", "?b", "#c", "\n", " ", "\t/x"]) {
          const failed = yield* failure(`https://a.example/in/{{ payload.a }}${rest}`, { a }, "url")
          assert.include(failed.message, "segment . or ..")
        }
        assert.strictEqual(
          yield* render("https://a.example/?in={{ payload.a }}", { a }, "url"),
          `https://a.example/?in=${a}`
        )
        assert.strictEqual(yield* render("https://a.example/v{{ payload.a }}", { a }, "url"), `https://a.example/v${a}`)
      }
    }))

  it.effect("is written as it is where a value is, or may be, part of the host", () =>
    Effect.gen(function*() {
      const payload = { url: "https://a.example/x?y=1", host: "b.example" }
      assert.strictEqual(yield* render("{{ payload.url }}", payload, "url"), payload.url)
      assert.strictEqual(yield* render("https://{{ payload.host }}/x", payload, "url"), "https://b.example/x")
      assert.strictEqual(
        yield* render("{% assign u = payload.url %}{% if u %}{{ u }}{% endif %}", payload, "url"),
        payload.url
      )
    }))

  it.effect("is encoded when tags stand before or around its host", () =>
    Effect.gen(function*() {
      const source = "{% assign id = payload.id | upcase %}" +
        "{% if payload.id %}https://a.example/{% else %}https://b.example/{% endif %}{{ id }}"
      assert.strictEqual(yield* render(source, { id: "a/b" }, "url"), "https://a.example/A%2FB")
    }))

  it.effect("is written as it is where one branch leaves the host open to it", () =>
    Effect.gen(function*() {
      const source = "{% if payload.own %}https://a.example/{% else %}https://b{% endif %}{{ payload.x }}"
      assert.strictEqual(yield* render(source, { x: ".example/x" }, "url"), "https://b.example/x")
      assert.strictEqual(yield* render(source, { own: true, x: "x/y" }, "url"), "https://a.example/x/y")
    }))
})

describe("a template in a header", () => {
  it.effect.prop(
    "never gives a character that no header may hold",
    [Schema.String],
    ([value]) =>
      Effect.gen(function*() {
        const template = yield* compile("v={{ payload.value }}", "header")
        const result = yield* Effect.result(template.render(contextWith({ value })))
        if (result._tag === "Success") assert.match(result.success, /^v=[\t\x20-\x7e\x80-\xff]*$/u)
        else assert.notMatch(value, /^[\t\x20-\x7e\x80-\xff]*$/u)
      })
  )

  it.effect("fails on line breaks, NUL and other control characters, and names the character alone", () =>
    Effect.gen(function*() {
      for (
        const [character, name] of [["\r", "000D"], ["\n", "000A"], ["\0", "0000"], ["\x7f", "007F"], ["日", "65E5"]]
      ) {
        const failed = yield* failure("{{ payload.a }}", { a: `secret${character}x-evil: 1` }, "header")
        assert.include(failed.message, `U+${name}`)
        assert.notInclude(failed.message, "secret")
        assert.isFalse(failed.timedOut)
      }
      assert.strictEqual(yield* render("{{ payload.a | url_encode }}", { a: "日\n" }, "header"), "%E6%97%A5%0A")
    }))
})

describe("a template is refused, with its line and column and what to do,", () => {
  const refusals: ReadonlyArray<readonly [why: string, source: string, line: number, column: number, says: string]> = [
    ["for an unknown name", "a\n {{ paylod.title }}", 2, 5, "there is no \"paylod\"; did you mean \"payload\"?"],
    ["for a name in a condition", "{% if x %}{% endif %}", 1, 7, "there is no \"x\"; there are deliveryId"],
    ["for a name in a filter's argument", "{{ payload | append: y }}", 1, 22, "there is no \"y\""],
    ["for a name inside brackets", "{{ payload[z.a] }}", 1, 12, "there is no \"z\""],
    ["for a loop's name after the loop", "{% for i in payload %}{% endfor %}{{ i }}", 1, 38, "there is no \"i\""],
    ["for an inherited name", "{{ constructor }}{{ __proto__ }}", 1, 4, "there is no \"constructor\""],
    [
      "for an unknown part of event",
      "{{ event.evntId }}",
      1,
      4,
      "\"event\" has no \"evntId\"; it has eventId, payload"
    ],
    ["for an unknown filter", "{{ payload | upcas }}", 1, 1, "there is no filter \"upcas\"; did you mean \"upcase\"?"],
    ["for an unknown filter in a cycle", "{% cycle payload | upcas %}", 1, 1, "there is no filter \"upcas\""],
    ["for a random filter", "{{ payload | sample }}", 1, 1, "there is no filter \"sample\""],
    ["for a filter that evaluates a text", "{{ payload | where_exp: \"a\", \"b\" }}", 1, 1, "there is no filter"],
    ["for an unknown tag", "\n\n{% fr %}", 3, 1, "there is no tag \"fr\"; did you mean \"for\"?"],
    [
      "for a tag that writes HTML",
      "{% tablerow i in payload %}{% endtablerow %}",
      1,
      1,
      "there is no tag \"tablerow\""
    ],
    ["for a value that is not closed", "{{ payload", 1, 1, "end it with }}"],
    ["for a tag that is not closed", "{% if payload", 1, 1, "end it with %}"],
    ["for a block that is not closed", "x {% if payload %} y", 1, 3, "end it with {% endif %}"],
    ["for raw text that is not closed", "{% raw %} y", 1, 10, "end it with {% endraw %}"],
    ["for an end of nothing", "{% endfor %}", 1, 1, "belongs to no block"],
    ["for an empty value", "{{ }}", 1, 4, "a value is missing here"],
    ["for two values in one", "{{ payload.a b }}", 1, 1, "this is not one value"],
    ["for a loop over nothing", "{% for x %}{% endfor %}", 1, 1, "{% for item in payload.items %}"],
    ["for an assignment of nothing", "{% assign x %}", 1, 12, "{% assign name = value %}"],
    ["for reading the clock", "{{ \"now\" | date: \"%s\" }}", 1, 1, "can't read the clock; use timestamp"],
    ["for a range of millions", "{% for i in (1..10001) limit: 1 %}{% endfor %}", 1, 13, "at most 10000 numbers"],
    ["for a range up to a value", "{% for i in (1..payload.n) %}{% endfor %}", 1, 13, "two whole numbers"],
    [
      "for a range that would never end",
      "{{ payload[(100000000000000000..100000000000000016)] }}",
      1,
      12,
      "two whole numbers"
    ],
    ["for blocks nested too deeply", "{%if 1%}".repeat(2000), 1, -1, "nested too deeply"],
    ["for brackets nested too deeply", `{{ ${"(".repeat(16_000)} }}`, 1, 1, "nested too deeply"]
  ]
  for (const [why, source, line, column, says] of refusals) {
    it.effect(why, () =>
      Effect.gen(function*() {
        const refused = yield* refusal(source)
        assert.strictEqual(refused._tag, "TemplateRefused")
        assert.strictEqual(refused.line, line)
        if (column > 0) assert.strictEqual(refused.column, column)
        assert.isTrue(refused.message.startsWith(`Line ${line}, column ${refused.column}: `), refused.message)
        assert.include(refused.message, says)
      }))
  }

  for (const tag of ["include", "render", "layout", "block"]) {
    it.effect(`for ${tag}, which is about other templates`, () =>
      Effect.gen(function*() {
        const refused = yield* refusal(`{"a":\n  {% ${tag} "/etc/hostname" %}`, "json")
        assert.deepInclude(refused, { line: 2, column: 3 })
        assert.include(refused.message, "write their text here")
      }))
  }

  it.effect("for its length", () =>
    Effect.gen(function*() {
      const refused = yield* refusal("x".repeat(Limits.defaults.templateLength + 1))
      assert.include(refused.message, String(Limits.defaults.templateLength))
      assert.strictEqual(
        (yield* render("x".repeat(Limits.defaults.templateLength))).length,
        Limits.defaults.templateLength
      )
    }))
})

describe("a rendering ends", () => {
  const numbers = Array.from({ length: 100_000 }, (_, i) => i)
  const nested = (depth: number): Schema.Json => {
    let value: Schema.Json = 1
    for (let i = 0; i < depth; i++) value = [value]
    return value
  }
  const bombs: ReadonlyArray<readonly [why: string, source: string, payload?: Schema.Json]> = [
    ["for loops in loops", `${"{% for i in (1..1000) %}".repeat(4)}${"{% endfor %}".repeat(4)}`],
    ["for loops that write", `${"{% for i in (1..1000) %}".repeat(3)}long text${"{% endfor %}".repeat(3)}`],
    [
      "for a string that doubles",
      "{% assign s = \"x\" %}{% for i in (1..90) %}{% assign s = s | append: s %}{% endfor %}"
    ],
    [
      "for a capture that grows",
      `{% capture s %}{% for i in (1..9999) %}${"x".repeat(9999)}{% endfor %}{% endcapture %}`
    ],
    ["for a capture that doubles", `{% assign s = "x" %}${"{% capture s %}{{ s }}{{ s }}{% endcapture %}".repeat(90)}`],
    ["for a list that doubles", `{% assign a = payload %}${"{% assign a = a | concat: a %}".repeat(90)}`, [1]],
    [
      "for a list that holds itself",
      `{% assign a = payload %}${"{% assign a = a | push: a %}".repeat(90)}{{ a | join }}`,
      [1]
    ],
    ["for filters in a row", `{{ payload${" | sort".repeat(1500)} }}`, numbers],
    ["for filters in a row that lengthen", `{{ payload${" | url_encode".repeat(900)} }}`, "ä".repeat(9999)],
    [
      "for conditions in a row",
      `{% if payload contains 0.5${" or payload contains 0.5".repeat(600)} %}{% endif %}`,
      numbers
    ],
    [
      "for cases in a row",
      `{% case payload.a %}{% when 1${", payload.b".repeat(1200)} %}{% endcase %}`,
      { a: [...numbers, 1], b: [...numbers, 2] }
    ],
    ["for a date of any width", "{{ timestamp | date: \"%1000000000d\" }}"],
    ["for a date of any length", "{{ timestamp | date: payload }}", "%B".repeat(100_000)],
    ["for a range in a filter's path", "{{ payload | where: \"a[(100000000000000000..100000000000000016)]\" }}", [{
      a: [1]
    }]],
    ["for JSON that is indented into the deep", "{{ payload | json: 8 }}", nested(3000)],
    ["for values nested beyond the stack", "{{ payload }}", nested(50_000)],
    ["for values nested beyond the stack, in a filter", "{{ payload | append: \"x\" }}", nested(50_000)]
  ]
  for (const [why, source, payload] of bombs) {
    it.effect(`with a typed failure, ${why}`, () =>
      Effect.gen(function*() {
        const failed = yield* failure(source, payload)
        assert.strictEqual(failed._tag, "TemplateFailed")
        assert.isBelow(failed.message.length, 300)
      }))
  }

  it.effect("by the limits in force", () =>
    Effect.gen(function*() {
      const loop = "{% for i in (1..1000) %}{{ payload.a | upcase }}{% endfor %}"
      const limited = (limits: Partial<Limits.Limits>, source = loop) =>
        failure(source, { a: "long enough" }).pipe(Effect.provide(Limits.layer(limits)))
      assert.include((yield* limited({ templateOutputLength: 99 })).message, "the result is longer than 99 characters")
      assert.include((yield* limited({ templateMemory: 2000 })).message, "more than 2000 characters and list items")
      const slow = yield* limited({ templateRenderMs: -1 })
      assert.include(slow.message, "longer than -1 ms")
      assert.isTrue(slow.timedOut)
      const search = yield* limited({ templateSearchCost: 10 * 6 - 1 }, "{{ payload.a | remove: \"enough\" }}")
      assert.include(search.message, "search for less")
      const condition = yield* limited({ templateSearchCost: 10 }, "{% if payload.a contains \"lo\" %}{% endif %}")
      assert.include(condition.message, "search for less")
      const date = yield* limited({ templateDateFormat: 3 }, "{{ timestamp | date: \"%Y%m\" }}")
      assert.include(date.message, "a format of at most 3 characters")
    }))

  it.effect("at once where a search would take long", () =>
    Effect.gen(function*() {
      const [text, part] = ["a".repeat(200_000), `${"a".repeat(50_000)}b${"a".repeat(50_000)}`]
      const searches = [
        "{% if payload.text contains payload.part %}{% endif %}",
        ...["remove", "remove_first", "remove_last", "replace", "replace_first", "replace_last", "split"].map((
          filter
        ) => `{{ payload.text | ${filter}: payload.part }}`)
      ]
      for (const source of searches) {
        const failed = yield* failure(source, { text, part })
        assert.include(failed.message, "search for less", source)
        assert.isFalse(failed.timedOut)
      }
      const few =
        "{% if payload.text contains \"b\" %}yes{% else %}{{ payload.text | replace: \"a\", \"\" }}no{% endif %}"
      assert.strictEqual(yield* render(few, { text }), "no")
    }))

  it.effect("with the place of the failure", () =>
    Effect.gen(function*() {
      const failed = yield* failure("a\n  {{ timestamp | date: \"%H\", payload.zone }}", { zone: "Nowhere/Land" })
      assert.match(failed.message, /^Line 2, column 3: /u)
      assert.isFalse(failed.timedOut)
    }))

  it.effect("with now as a word like any other where a payload holds it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* render("{{ payload.at | date: \"%Y\" }}", { at: "now" }), "now")
      assert.strictEqual(yield* render("{% assign t = \"today\" %}{{ t | date_to_xmlschema }}"), "today")
    }))

  const piece = Schema.Literals([
    "{{",
    "}}",
    "{%",
    "%}",
    " payload",
    ".a",
    "[0]",
    "[\"__proto__\"]",
    " | ",
    "append: ",
    "date: ",
    "json",
    "map: \"a\"",
    "raw",
    " if ",
    " endif ",
    " for i in ",
    " endfor ",
    " assign a = ",
    " capture b ",
    " endcapture ",
    " cycle ",
    " case ",
    " when ",
    " liquid\n",
    "(1..3)",
    "(",
    ")",
    "\"",
    "'",
    "\n",
    ",",
    "-",
    " and ",
    " contains ",
    " not ",
    "1",
    "text",
    "\0"
  ])
  it.effect.prop("in a text or a typed error, whatever the template", [
    Schema.Array(Schema.Union([piece, Schema.String])),
    Schema.Literals(["json", "url", "header", "text"])
  ], ([pieces, mode]) =>
    Effect.gen(function*() {
      const result = yield* Effect.result(render(pieces.join(""), incident, mode))
      if (result._tag === "Success") assert.isString(result.success)
      else assert.include(["TemplateRefused", "TemplateFailed"], result.failure._tag)
    }), { arbitrary: { runs: 500 } })
})
