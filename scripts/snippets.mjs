/**
 * Type-checks the TypeScript blocks of the README and docs/ with the project's settings, against the source, and runs them.
 *
 * A block opened by `ts` is a module of its own. `ts no-run` is only type-checked, as one that listens or wants a database;
 * `ts file=incident.ts` gives it a name that later blocks of its page import it by. What can't stand alone is no `ts` block.
 */
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"

const root = Path.resolve(import.meta.dirname, "..")
const folder = Path.join(root, ".snippets")

const pages = [
  "README.md",
  ...Fs.readdirSync(Path.join(root, "docs"), { recursive: true }).map((file) => `docs/${file}`)
]

/** Written under its page's name and from its page's line on, so that errors point to the page. */
const write = (page, text, { 0: block, index, groups: { code, info } }) => {
  const line = text.slice(0, index + block.indexOf("```")).split("\n").length
  const file = Path.join(folder, page, /\bfile=(\S+)/u.exec(info)?.[1] ?? `${line}.ts`)
  if (Fs.existsSync(file)) throw new Error(`${page}:${line}: another block of this page has this name`)
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  Fs.writeFileSync(file, "\n".repeat(line) + code)
  return { file, runs: !/\bno-run\b/u.test(info) }
}

const node = async (...args) => {
  try {
    await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 })
  } catch (error) {
    process.stderr.write(`${error.stdout}${error.stderr}${args.at(-1)} failed (${error.signal ?? error.code})\n`)
    process.exitCode = 1
  }
}

Fs.rmSync(folder, { recursive: true, force: true })
const blocks = pages.filter((page) => page.endsWith(".md")).map((page) => {
  const text = Fs.readFileSync(Path.join(root, page), "utf8")
  const fence = /^(?<indent> *)```ts(?<info>| .*)\n(?<code>[\s\S]*?)^\k<indent>```$/gmu
  return [...text.matchAll(fence)].map((match) => write(page, text, match))
})
const files = blocks.flat().map(({ file }) => file)
if (files.length === 0) throw new Error("no block was found: the README has one")
// A block may declare what only the text around it is about.
const settings = { extends: "../tsconfig.json", compilerOptions: { noUnusedLocals: false }, files }
Fs.writeFileSync(Path.join(folder, "tsconfig.json"), JSON.stringify(settings))
await node("node_modules/typescript/bin/tsc", "--project", ".snippets/tsconfig.json")
// One after the other within a page, where a later block may build on an earlier one.
await Promise.all(blocks.map(async (page) => {
  for (const { file, runs } of page) if (runs) await node("--conditions=hookline-source", Path.relative(root, file))
}))
if (process.exitCode === undefined) Fs.rmSync(folder, { recursive: true })
process.stdout.write(`blocks checked: ${files.length}, run: ${blocks.flat().filter(({ runs }) => runs).length}\n`)
