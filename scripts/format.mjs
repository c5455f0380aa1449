/**
 * Formats the tree in Effect's own style with dprint's plugins, without dprint's binary: `node scripts/format.mjs [--check]`.
 */
import { createFromBuffer } from "@dprint/formatter"
import * as Json from "@dprint/json"
import * as TypeScript from "@dprint/typescript"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")
const { excludes, ...settings } = JSON.parse(Fs.readFileSync(Path.join(root, "dprint.json"), "utf8"))
const global = { indentWidth: settings.indentWidth, lineWidth: settings.lineWidth, newLineKind: settings.newLineKind }
const typescript = createFromBuffer(Fs.readFileSync(TypeScript.getPath()))
typescript.setConfig(global, settings.typescript)
const json = createFromBuffer(Fs.readFileSync(Json.getPath()))
json.setConfig(global, settings.json)

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8"
})
  .split("\n")
  .filter((file) =>
    /\.(ts|mts|js|mjs|json)$/u.test(file) && !excludes.includes(file) && Fs.existsSync(Path.join(root, file))
  )

const check = process.argv.includes("--check")
const changed = []
for (const file of files) {
  const filePath = Path.join(root, file)
  const fileText = Fs.readFileSync(filePath, "utf8")
  const formatted = (file.endsWith(".json") ? json : typescript).formatText({ filePath, fileText })
  if (formatted === fileText) continue
  changed.push(file)
  if (!check) Fs.writeFileSync(filePath, formatted)
}
if (check && changed.length > 0) {
  process.stderr.write(`Not formatted, run npm run format:\n  ${changed.join("\n  ")}\n`)
  process.exit(1)
}
process.stdout.write(check ? `${files.length} files are formatted\n` : `${changed.length} files formatted\n`)
