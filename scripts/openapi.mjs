/**
 * Writes `docs/openapi.json` from the contract of the HTTP API; with `--check` it fails where the file is stale, and holds it to
 * redocly.yaml, without a network. Runs as `npm run openapi` and `npm run openapi:check`.
 */
import { createConfig, formatProblems, getTotals, lintFromString } from "@redocly/openapi-core"
import { OpenApi } from "effect/http-api"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { documented } from "../src/http/Description.ts"

const root = Path.resolve(import.meta.dirname, "..")
const file = Path.join(root, "docs", "openapi.json")
const text = `${JSON.stringify(OpenApi.fromApi(documented), null, 2)}\n`

const lint = async () => {
  const config = await createConfig(Fs.readFileSync(Path.join(root, "redocly.yaml"), "utf8"))
  const problems = await lintFromString({ source: text, absoluteRef: file, config })
  const totals = getTotals(problems)
  formatProblems(problems, { format: "codeframe", totals, version: "" })
  if (totals.errors + totals.warnings > 0) process.exitCode = 1
  else process.stdout.write(`the linter has nothing to say to ${Object.keys(JSON.parse(text).paths).length} paths\n`)
}

if (!process.argv.includes("--check")) Fs.writeFileSync(file, text)
else if (!Fs.existsSync(file) || Fs.readFileSync(file, "utf8") !== text) {
  process.stderr.write("docs/openapi.json is stale: run npm run openapi\n")
  process.exitCode = 1
}
await lint()
