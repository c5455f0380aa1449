/**
 * Type-checks the TypeScript blocks of the README and docs/ and runs them: against the source with the project's settings, or,
 * by `node scripts/snippets.mjs <folder>`, against the package that is installed in a folder, with the folder's settings.
 *
 * A block opened by `ts` is a module of its own. `ts no-run` is only type-checked, as one that listens or wants a database;
 * `ts file=incident.ts` gives it a name that later blocks of its page import it by. What can't stand alone is no `ts` block.
 */
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"

const root = Path.resolve(import.meta.dirname, "..")
const project = Path.resolve(process.argv[2] ?? root)
const conditions = project === root ? ["--conditions=hookline-source"] : []
const folder = Path.join(project, ".snippets")

const pages = [
  "README.md",
  ...Fs.readdirSync(Path.join(root, "docs"), { recursive: true }).map((file) => `docs/${file}`)
].filter((page) => page.endsWith(".md"))

/** Written under its page's name and from its page's line on, so that errors point to the page. */
const write = (page, text, { 0: block, index, groups: { code, info } }) => {
  const line = text.slice(0, index + block.indexOf("```")).split("\n").length
  const file = Path.join(folder, page, /\bfile=(\S+)/u.exec(info)?.[1] ?? `${line}.ts`)
  if (Fs.existsSync(file)) throw new Error(`${page}:${line}: another block of this page has this name`)
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  Fs.writeFileSync(file, "\n".repeat(line) + code)
  return { file, runs: !/\bno-run\b/u.test(info) }
}

const node = async (what, ...args) => {
  try {
    await promisify(execFile)(process.execPath, args, { cwd: project, timeout: 60_000 })
  } catch (error) {
    process.stderr.write(`${error.stdout}${error.stderr}${what} failed (${error.signal ?? error.code})\n`)
    process.exitCode = 1
  }
}

Fs.rmSync(folder, { recursive: true, force: true })
const blocks = pages.map((page) => {
  const text = Fs.readFileSync(Path.join(root, page), "utf8")
  const fence = /^(?<indent> *)```ts(?<info>| .*)\n(?<code>[\s\S]*?)^\k<indent>```$/gmu
  return [...text.matchAll(fence)].map((match) => write(page, text, match))
})
const files = blocks.flat().map(({ file }) => file)
if (files.length === 0) throw new Error("no block was found: the README has one")
// A block may declare what only the text around it is about.
const settings = { extends: "../tsconfig.json", compilerOptions: { noUnusedLocals: false }, files }
Fs.writeFileSync(Path.join(folder, "tsconfig.json"), JSON.stringify(settings))
await node("types", "node_modules/typescript/bin/tsc", "--project", ".snippets/tsconfig.json")
// A page's blocks one after the other in one process: a later one may build on an earlier one, and starting costs a second.
await Promise.all(blocks.map(async (page, n) => {
  const imports = page.filter(({ runs }) => runs).map(({ file }) => `await import("${pathToFileURL(file)}")`)
  if (imports.length > 0) await node(pages[n], ...conditions, "--input-type=module", "--eval", imports.join("\n"))
}))
if (process.exitCode === undefined) Fs.rmSync(folder, { recursive: true })
process.stdout.write(`blocks checked: ${files.length}, run: ${blocks.flat().filter(({ runs }) => runs).length}\n`)
