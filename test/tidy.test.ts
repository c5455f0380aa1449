/**
 * The house, as a test: which way imports go, how large a file may be, and what no module below the edges does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { version } from "../src/Version.ts"

const root = Path.resolve(import.meta.dirname, "..")

const filesIn = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => Path.join(folder, file))

const sources = filesIn("src").map((file) => ({ file, text: Fs.readFileSync(Path.join(root, file), "utf8") }))

/** The modules that stand alone, by level; folders have one level each. */
const modules = [
  `Id Key AuditEntry Member Message Subscription Connection Limits Monotonic Chain LetGo Deadlines UnderWay Version SchemaErrors StorageError PayloadExample PayloadProperties PayloadSchema Nearest Storable
    TraceContext Sampling Redaction SchemaPlaces SecretFields Destinations Told Metrics Tally Phases Note RequestExcerpt Retention NoPlace`,
  `Access Core Hook Handler IntegrationEvent RetrySchedule RateLimit Circuit Delivery Filter Template TemplateEngine TemplateHost Replay Provider Signature SignatureKey`,
  `Storage StorageMemory\\w* Registry Plugin GroupCommit Hooks Handlers Secrets Egress Live Dispatcher Dispatchers Bindings SubscriptionChecks Subscriptions
    SealedConfig SubscriptionConnections Connections ConnectionProbe Tryouts Places Explanations Previews Keys Audit Resealing Replayer Replays Stats`,
  ``,
  `Cluster Maintenance Members Readings Hookline`,
  `Runner index`
]

const levels: ReadonlyArray<readonly [RegExp, number]> = [
  ...modules.map((names, level) => [new RegExp(`^src/(${names.split(/\s+/u).join("|")})\\.ts$`, "u"), level] as const),
  [/^src\/(seam|dispatcher)\//u, 2],
  [/^src\/(storage|plugins|egress)\//u, 3],
  [/^src\/cluster\//u, 4],
  [/^src\/(http|cli|testing)\//u, 5]
]

const levelOf = (file: string) => levels.find(([pattern]) => pattern.test(file))?.[1]

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const importsOf = (text: string): ReadonlyArray<Import> =>
  [...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^"']*?from\s+)?["']([^"']+)["']/gmu)].map((match) => ({
    typeOnly: match[1] !== undefined,
    from: match[2] ?? ""
  }))

const resolve = (file: string, from: string) => Path.join(Path.dirname(file), from)

const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\//gu, "").replace(/(^|\s)\/\/.*$/gmu, "")

const offenders = (pattern: RegExp, allowed: ReadonlyArray<string> = []) =>
  sources.filter(({ file, text }) => !allowed.includes(file) && pattern.test(code(text))).map(({ file }) => file)

describe("the house", () => {
  it("knows its version", () => {
    const { version: packaged } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
    assert.strictEqual(version, packaged)
  })

  it("has programs that a signal reaches: npm tells its shell alone, and that ends without telling anybody", () => {
    const { scripts } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
    const wrong = Object.entries(scripts).filter(([, command]) => /^node .*\.ts\b/u.test(String(command)))
    assert.deepStrictEqual(wrong, [])
  })

  it("has a level for every module", () => {
    assert.deepStrictEqual(sources.filter(({ file }) => levelOf(file) === undefined).map(({ file }) => file), [])
  })

  it("imports its own level or lower; a type may come from one above to be named", () => {
    const wrong = sources.flatMap(({ file, text }) =>
      importsOf(text)
        .filter(({ from, typeOnly }) => from.startsWith(".") && !typeOnly)
        .map(({ from }) => resolve(file, from))
        .filter((target) => file !== "src/index.ts" && (levelOf(target) ?? 9) > (levelOf(file) ?? 0))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("has no cycle of imports, types aside", () => {
    const imports = new Map(sources.map(({ file, text }) => [
      file,
      importsOf(text).filter(({ from, typeOnly }) => from.startsWith(".") && !typeOnly)
        .map(({ from }) => resolve(file, from))
    ]))
    const done = new Set<string>()
    const cycles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "))
      else if (!done.has(file)) { for (const target of imports.get(file) ?? []) visit(target, [...path, file]) }
      done.add(file)
    }
    for (const file of imports.keys()) visit(file, [])
    assert.deepStrictEqual(cycles, [])
  })

  it("imports neither its own front door nor what is for tests", () => {
    const wrong = sources.flatMap(({ file, text }) =>
      importsOf(text)
        .map(({ from }) => from.startsWith(".") ? resolve(file, from) : from)
        .filter((target) =>
          target === "src/index.ts" || (target.startsWith("src/testing/") && !file.startsWith("src/testing/"))
        )
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("keeps each library in its room", () => {
    const rooms: ReadonlyArray<readonly [RegExp, RegExp]> = [
      [/^effect\/sql$/u, /^src\/(storage\/|cluster\/|Runner\.ts)/u],
      [
        /^effect\/cluster(\/|$)/u,
        /^src\/cluster\/|^src\/(Cluster|Maintenance|Hookline|Runner)\.ts$|^src\/testing\//u
      ],
      [/^@effect\/sql-pg$/u, /^src\/(storage\/|cluster\/|Runner\.ts)/u],
      [/^@effect\/platform-node/u, /^src\/(http|cli|egress|storage|cluster)\/|^src\/Runner\.ts$/u],
      [/^undici$|^ipaddr\.js$/u, /^src\/egress\//u],
      [/^aws4$|^oauth4webapi$/u, /^src\/plugins\/webhook\//u],
      [/^liquidjs$/u, /^src\/Template(Engine|Host)?\.ts$/u],
      [/^node:(?!crypto$)/u, /^src\/(http|cli|egress|storage|cluster)\//u]
    ]
    const wrong = sources.flatMap(({ file, text }) =>
      importsOf(text).flatMap(({ from }) =>
        rooms.filter(([library, room]) => library.test(from) && !room.test(file)).map(() => `${file} -> ${from}`)
      )
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("runs no effect below the edge", () => {
    assert.deepStrictEqual(offenders(/\bEffect\.run(Promise|Sync|Fork|Callback)/u), [])
  })

  it("takes time and randomness from Effect; keys and nonces from the system's generator", () => {
    assert.deepStrictEqual(
      offenders(/\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|\bset(Timeout|Interval)\(/u),
      []
    )
    assert.deepStrictEqual(
      offenders(/\brandom(Bytes|UUID)\(/u, [
        "src/Keys.ts",
        "src/Secrets.ts",
        "src/SignatureKey.ts",
        "src/cli/Settings.ts",
        "src/storage/EmbeddedPostgres.ts"
      ]),
      []
    )
  })

  it("has no any, no non-null assertion, nothing unfinished", () => {
    assert.deepStrictEqual(offenders(/:\s*any\b|\bas any\b|<any>|@ts-(ignore|nocheck|expect-error)/u), [])
    assert.deepStrictEqual(sources.filter(({ text }) => /\b(TODO|FIXME|XXX)\b/u.test(text)).map(({ file }) => file), [])
  })

  it("opens each module with a paragraph that says what it owns", () => {
    const wrong = sources.filter(({ text }) => !text.replace(/^#!.*\n/u, "").startsWith("/**\n * ")).map(({ file }) =>
      file
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("says of each export what it is, and of each public one since when", () => {
    const exported = /^export (?:abstract )?(?:const|class|interface|type|function) (\w+)/u
    const wrong = sources.filter(({ file }) => !file.endsWith("index.ts")).flatMap(({ file, text }) => {
      const isPublic = !/^src\/(dispatcher\/|storage\/Pg(?!Storage))/u.test(file)
      const lines = text.split("\n")
      return lines.flatMap((line, n) => {
        const name = exported.exec(line)?.[1]
        if (name === undefined) return []
        let first = n - 1
        while (first > 0 && !lines[first]?.startsWith("/**")) first--
        const doc = lines[n - 1]?.endsWith("*/") === true ? lines.slice(first, n).join("\n") : ""
        return doc !== "" && (!isPublic || /@category [\s\S]*@since /u.test(doc)) ? [] : [`${file}: ${name}`]
      })
    })
    assert.deepStrictEqual(wrong, [])
  })

  it("keeps files small", () => {
    const wrong = sources
      .filter(({ text }) => code(text).split("\n").filter((line) => line.trim() !== "").length > 500)
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })

  it("has each module of the root under a name of its own, by which a program's declarations tell its types", () => {
    const { exports } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
    const index = sources.find(({ file }) => file === "src/index.ts")?.text ?? ""
    const names = [...index.matchAll(/^export \* as (\w+) from "\.\/\1\.ts"$/gmu)].map(([, name]) => `./${name}`)
    assert.isAbove(names.length, 40)
    assert.deepStrictEqual(names.filter((name) => exports[name] === undefined), [])
    const files = Object.values(exports).filter((one) => typeof one === "object")
    assert.deepStrictEqual(files.filter((one) => !/"\.\/src\//u.test(JSON.stringify(one))), [])
  })

  it("has no test that is left out or waits for time to pass", () => {
    const wrong = filesIn("test")
      .filter((file) => file !== "test/tidy.test.ts")
      .filter((file) =>
        /\b(it|describe)(\.\w+)*\.(only|skip|todo)\b|\bsetTimeout\(/u.test(
          Fs.readFileSync(Path.join(root, file), "utf8")
        )
      )
    assert.deepStrictEqual(wrong, [])
  })
})
