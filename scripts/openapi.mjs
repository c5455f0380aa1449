/**
 * Writes `docs/openapi.json` from the contract of the HTTP API; with `--check` it fails where the file is stale. Holds it to
 * redocly.yaml, without a network, and every property to having words, every time to saying that it is one. Runs as `npm run openapi` and `npm run openapi:check`.
 */
import { createConfig, formatProblems, getTotals, lintFromString } from "@redocly/openapi-core"
import { OpenApi } from "effect/http-api"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { documented } from "../src/http/Description.ts"

const root = Path.resolve(import.meta.dirname, "..")
const file = Path.join(root, "docs", "openapi.json")
const text = `${JSON.stringify(OpenApi.fromApi(documented), null, 2)}\n`

const isTime = (name, { type }) => type === "string" && /^(at|from|to)$|(At|Until|Since)$/u.test(name)

const { schemas } = JSON.parse(text).components

/** Words of its own, or of the schema that it refers to. */
const hasWords = ({ $ref, description }) => Boolean(description ?? schemas[$ref?.split("/").at(-1)]?.description)

/** What properties and parameters lack, each with its place. */
const gaps = (value, place = []) => {
  if (typeof value !== "object" || value === null) return []
  const found = []
  const look = (name, schema, at) => {
    if (isTime(name, schema) && schema.format !== "date-time") found.push(`${at}: a time without format: date-time`)
  }
  if (!Array.isArray(value)) {
    const { in: where, name, properties, schema } = value
    if (typeof where === "string" && schema !== undefined) look(name, schema, [...place, name].join(" > "))
    for (const [name, property] of Object.entries(typeof properties === "object" ? properties : {})) {
      const at = [...place, name].join(" > ")
      if (!hasWords(property)) found.push(`${at}: a property without a description`)
      look(name, property, at)
    }
  }
  for (const [name, inner] of Object.entries(value)) {
    if (name !== "example" && name !== "examples") found.push(...gaps(inner, [...place, name]))
  }
  return found
}

const lint = async () => {
  const config = await createConfig(Fs.readFileSync(Path.join(root, "redocly.yaml"), "utf8"))
  const problems = await lintFromString({ source: text, absoluteRef: file, config })
  const totals = getTotals(problems)
  formatProblems(problems, { format: "codeframe", totals, version: "" })
  const lacking = gaps(JSON.parse(text))
  for (const gap of lacking) process.stderr.write(`${gap}\n`)
  if (totals.errors + totals.warnings + lacking.length > 0) process.exitCode = 1
  else process.stdout.write(`the linter has nothing to say to ${Object.keys(JSON.parse(text).paths).length} paths\n`)
}

if (!process.argv.includes("--check")) Fs.writeFileSync(file, text)
else if (!Fs.existsSync(file) || Fs.readFileSync(file, "utf8") !== text) {
  process.stderr.write("docs/openapi.json is stale: run npm run openapi\n")
  process.exitCode = 1
}
await lint()
