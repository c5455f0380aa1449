import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as TemplateEngine from "../src/TemplateEngine.ts"
import * as TemplateHost from "../src/TemplateHost.ts"

const engine = TemplateEngine.make("none")

const isFixed = (source: string) => TemplateHost.isFixed(engine.parse(source))

const a = "https://a.example"
const x = "{{ payload.x }}"

const fixed: ReadonlyArray<readonly [what: string, source: string]> = [
  ["a path follows", `${a}/${x}`],
  ["a query follows", `${a}?x=${x}`],
  ["a fragment follows", `${a}#${x}`],
  ["nothing is written", `${a}{% assign y = payload.x %}`],
  ["it is in other letters and behind spaces", `\n  HTTPS://a.example:1/${x}`],
  ["it is broken into lines, which no reader of URLs keeps", `https:/\n/a.exa\tmple\n/${x}`],
  ["every branch of an if ends its host", `{% if payload.x %}${a}/{% else %}https://b.example/{% endif %}${x}`],
  [
    "every branch of an elsif does",
    `{% if x %}${a}/{% elsif y %}${a}?{% elsif z %}${a}#{% else %}${a}/y{% endif %}${x}`
  ],
  ["every branch of an unless does", `{% unless payload.x %}${a}/{% else %}https://b.example/{% endunless %}${x}`],
  [
    "every branch of a case does",
    `{% case payload.x %}{% when 1 %}${a}/{% when 2 %}${a}?{% else %}${a}#{% endcase %}${x}`
  ],
  ["branches share the end", `{% if payload.x %}${a}{% else %}https://b.example{% endif %}/${x}`],
  ["branches share the beginning", `https://{% if payload.x %}a{% else %}b{% endif %}.example/${x}`],
  [
    "branches are nested",
    `{% if x %}{% if y %}${a}/{% else %}${a}?{% endif %}{% else %}{% if z %}${a}#{% else %}${a}/{% endif %}{% endif %}${x}`
  ],
  ["a branch without it has no value", `{% if payload.x %}${a}/${x}{% endif %}`],
  ["a loop comes behind it", `${a}/{% for y in payload.x %}{{ y }}/{% endfor %}`],
  ["a loop extends it", `${a}{% for y in payload.x %}.b{% endfor %}/${x}`],
  ["a loop ends behind it", `${a}/{% for y in payload.x %}{% break %}{% endfor %}${x}`],
  ["it is raw", `{% raw %}${a}/{% endraw %}${x}`],
  ["it comes behind what writes nothing", `{% assign y = 1 %}{% # no %}{% comment %}${x}{% endcomment %}${a}/${x}`],
  ["it comes behind a capture", `{% capture y %}${x}{% endcapture %}${a}/{{ y }}`]
]

const open: ReadonlyArray<readonly [what: string, source: string]> = [
  ["a value extends it", `${a}${x}`],
  ["a value is its port", `${a}:${x}/`],
  ["a value is the whole of it", `${x}/`],
  ["the scheme is another", `ftp://a.example/${x}`],
  ["it is empty", `https:///${x}`],
  ["it is empty for readers that take \\ for /", `https://\\/${x}`],
  ["it is empty for readers that drop line breaks", `https://\n/${x}`],
  ["one branch of an if leaves it open", `{% if x %}${a}/{% else %}https://b.example{% endif %}${x}`],
  ["the other branch leaves it open", `{% if x %}${a}{% else %}https://b.example/{% endif %}${x}`],
  ["there is no other branch", `{% if x %}${a}/{% endif %}${x}`],
  ["an elsif leaves it open", `{% if x %}${a}/{% elsif y %}${a}{% else %}${a}/{% endif %}${x}`],
  ["a value is in one branch", `{% if x %}${x}{% else %}${a}/{% endif %}`],
  ["an unless leaves it open", `{% unless x %}${a}/{% endunless %}${x}`],
  [
    "a branch of a case leaves it open",
    `{% case x %}{% when 1 %}${a}/{% when 2 %}${a}{% else %}${a}/{% endcase %}${x}`
  ],
  ["a case has no else", `{% case x %}{% when 1 %}${a}/{% when 2 %}${a}/{% endcase %}${x}`],
  [
    "two branches of a case may both be written",
    `{% case x %}{% when 1 %}${a}{% when 1 %}${x}{% else %}${a}/{% endcase %}`
  ],
  [
    "a nested branch leaves it open",
    `{% if x %}{% if y %}${a}{% else %}${a}/{% endif %}{% else %}${a}/{% endif %}${x}`
  ],
  ["a loop may have no turn", `{% for y in payload.x %}${a}/{% endfor %}${x}`],
  ["a loop with an else may have no turn", `{% for y in payload.x limit: 0 %}${a}/{% else %}${a}/{% endfor %}${x}`],
  ["a loop's turn has a value", `{% for y in payload.x %}{{ y }}{% endfor %}${a}/`],
  ["a loop goes on with what it began", `{% for y in payload.x %}https:{% else %}${a}/{% endfor %}//a.example/${x}`],
  ["a loop is left before it", `{% for y in payload.x %}{% break %}${a}/{% endfor %}${x}`],
  ["what follows is left out", `${a}{% break %}/${x}`],
  ["what follows is left out by a capture", `${a}{% capture y %}{% continue %}{% endcapture %}/${x}`],
  ["a tag writes", `${a}{% echo payload.x %}/`],
  ["a counter writes", `${a}{% increment y %}/${x}`],
  ["a cycle writes", `${a}{% cycle "a", "b" %}/${x}`],
  ["the tag liquid writes", `${a}{% liquid\necho payload.x\n%}/`]
]

// -- a model: the texts that a template may begin with, up to its first value

const Text = Schema.Struct({
  kind: Schema.Literal("text"),
  text: Schema.Literals([`${a}/`, a, "/", "?", ".b", "http", "s://", "https://", " ", "c"])
})
const Value = Schema.Struct({ kind: Schema.Literal("value") })
const branching = <S extends Schema.Codec<Node>>(node: S) => {
  const some = Schema.Array(node).check(Schema.isMaxLength(2))
  return Schema.Struct({ kind: Schema.Literals(["if", "unless", "case"]), first: some, second: some, rest: some })
}
const looping = <S extends Schema.Codec<Node>>(node: S) =>
  Schema.Struct({ kind: Schema.Literal("for"), turn: Schema.Array(node).check(Schema.isMaxLength(2)) })

type Node =
  | typeof Text.Type
  | typeof Value.Type
  | {
    readonly kind: "if" | "unless" | "case"
    readonly first: ReadonlyArray<Node>
    readonly second: ReadonlyArray<Node>
    readonly rest: ReadonlyArray<Node>
  }
  | { readonly kind: "for"; readonly turn: ReadonlyArray<Node> }

const Leaf = Schema.Union([Text, Text, Value])
const Inner = Schema.Union([Leaf, branching(Leaf)])
const Unlooped = Schema.Array(Schema.Union([Leaf, branching(Inner)])).check(Schema.isMaxLength(3))
const Looped = Schema.Array(Schema.Union([Inner, looping(Inner)])).check(Schema.isMaxLength(3))

const sourceOf = (nodes: ReadonlyArray<Node>): string =>
  nodes.map((node) => {
    switch (node.kind) {
      case "text":
        return node.text
      case "value":
        return x
      case "for":
        return `{% for y in payload.x %}${sourceOf(node.turn)}{% endfor %}`
      case "case":
        // A value for both branches, and one for each alone.
        return `{% case payload.x %}{% when 1, 3 %}${sourceOf(node.first)}{% when 1, 2 %}${
          sourceOf(node.second)
        }{% else %}` +
          `${sourceOf(node.rest)}{% endcase %}`
      default:
        return `{% ${node.kind} payload.x %}${sourceOf(node.first)}{% elsif payload.y %}${
          sourceOf(node.second)
        }{% else %}` +
          `${sourceOf(node.rest)}{% end${node.kind} %}`
    }
  }).join("")

const valued = "\0"

const textsOf = (nodes: ReadonlyArray<Node>, before: ReadonlyArray<string>): ReadonlyArray<string> =>
  nodes.reduce((texts, node) => {
    const done = texts.filter((text) => text.endsWith(valued))
    const going = texts.filter((text) => !text.endsWith(valued))
    return [...new Set([...done, ...next(node, going)])]
  }, before)

const next = (node: Node, texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (node.kind === "text") return texts.map((text) => text + node.text)
  if (node.kind === "value") return texts.map((text) => text + valued)
  if (node.kind === "for") {
    const once = textsOf(node.turn, texts)
    return [...texts, ...once, ...textsOf(node.turn, once)]
  }
  const first = textsOf(node.first, texts)
  return [
    ...first,
    ...(node.kind === "case" ? textsOf(node.second, first) : []),
    ...textsOf(node.second, texts),
    ...textsOf(node.rest, texts)
  ]
}

const isFixedByModel = (nodes: ReadonlyArray<Node>) =>
  textsOf(nodes, [""]).every((text) => !text.endsWith(valued) || /^\s*https?:\/\/[^/?#]+[/?#]/u.test(text))

describe("the host of a template's URL", () => {
  it.for(fixed)("is fixed where %s", ([, source]) => {
    assert.isTrue(isFixed(source), source)
  })

  it.for(open)("is not fixed where %s", ([, source]) => {
    assert.isFalse(isFixed(source), source)
  })

  it.prop("is fixed exactly where it is in every branch that can be written", [Unlooped], ([nodes]) => {
    assert.strictEqual(isFixed(sourceOf(nodes)), isFixedByModel(nodes), sourceOf(nodes))
  }, { arbitrary: { runs: 500 } })

  it.prop("is never fixed where a loop's turns can leave it open", [Looped], ([nodes]) => {
    if (isFixed(sourceOf(nodes))) assert.isTrue(isFixedByModel(nodes), sourceOf(nodes))
  }, { arbitrary: { runs: 500 } })

  it("is judged in time that grows with the template alone, however many branches there are", () => {
    const branch = "{% if payload.x %}a{% else %}b{% endif %}"
    assert.isTrue(isFixed(`https://${branch.repeat(300)}/${x}`))
    const nested = "{% for y in payload.x %}".repeat(100) + "a" + "{% endfor %}".repeat(100)
    assert.isTrue(isFixed(`https://a${nested}/${x}`))
  })
})
