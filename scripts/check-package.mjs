/**
 * The package as a stranger gets it: packed from `dist`, judged by publint and Are The Types Wrong, installed with `effect`
 * alone, where the root must stand; then the guides are followed in an empty folder, with their own commands (`npm …` in `sh`
 * blocks) and settings, the tarball in place of the package; last, a backend's declarations are made. Wants `npm run build` first, and the npm registry.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-package-"))

const env = {
  ...process.env,
  // npm runs on the node that this runs on.
  PATH: [Path.dirname(process.execPath), process.env.PATH].join(Path.delimiter),
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_prefer_offline: "true"
}
// A script that npm runs would install into npm's own folder.
delete env.npm_config_local_prefix

/** Silent, unless it fails. */
const run = (cwd, command, ...args) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, env, encoding: "utf8" })
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} failed\n${stdout}${stderr}${error ?? ""}`)
}

const tool = (name, ...args) => run(root, process.execPath, Path.join(root, "node_modules", ".bin", name), ...args)

const empty = (name) => {
  const made = Path.join(folder, name)
  Fs.mkdirSync(made)
  return made
}

const guides = Path.join(root, "docs", "guides")

/** The blocks of a language, of the guides in the order in which the README lists them, and of the API's. */
const blocks = (info) => {
  const readme = Fs.readFileSync(Path.join(root, "README.md"), "utf8")
  const pages = [...readme.matchAll(/\(docs\/guides\/([\w-]+\.md)\)/gu)].map(([, page]) => page)
  const missing = Fs.readdirSync(guides).filter((page) => !pages.includes(page))
  if (missing.length > 0) throw new Error(`the README does not list the guides ${missing.join(", ")}`)
  const fence = new RegExp(`^\`\`\`${info}\\n([\\s\\S]*?)^\`\`\`$`, "gmu")
  return [...pages.map((page) => Path.join(guides, page)), Path.join(root, "docs", "api.md")]
    .flatMap((path) => [...Fs.readFileSync(path, "utf8").matchAll(fence)])
    .map(([, text]) => text)
}

const judge = (tarball) => {
  tool("publint", "run", tarball, "--strict")
  tool("attw", tarball, "--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji")
  process.stdout.write("publint and attw have nothing to say\n")
}

const standAlone = (tarball) => {
  const cwd = empty("alone")
  Fs.writeFileSync(Path.join(cwd, "package.json"), "{}")
  run(cwd, "npm", "install", tarball, "effect")
  const installed = Fs.readdirSync(Path.join(cwd, "node_modules")).filter((name) => !name.startsWith("."))
  if (installed.join() !== "effect,hookline") throw new Error(`more than effect was installed: ${installed.join()}`)
  const script = "import { Hook, Hookline } from \"hookline\"; if (!Hook.make || !Hookline.layer) process.exit(1)"
  run(cwd, process.execPath, "--input-type=module", "-e", script)
  process.stdout.write("the root stands on effect alone\n")
}

const followGuides = (tarball) => {
  const cwd = empty("guides")
  for (const line of blocks("sh").flatMap((text) => text.split("\n")).filter((line) => line.startsWith("npm "))) {
    process.stdout.write(`$ ${line}\n`)
    const [command, ...words] = line.split(" ")
    run(cwd, command, ...words.map((word) => word === "hookline" ? tarball : word))
  }
  const [settings] = blocks("json file=tsconfig.json")
  Fs.writeFileSync(Path.join(cwd, "tsconfig.json"), settings)
  run(cwd, process.execPath, Path.join(root, "scripts", "snippets.mjs"), cwd)
  process.stdout.write("the guides' code is type-checked and runs\n")
  return cwd
}

/** What a backend may export without a type of its own: its declarations name those of the package by themselves. */
const backend = `
import { Effect } from "effect"
import { Connections, Hookline, Live, Plugin, Previews, Subscriptions } from "hookline"
import { SocketCluster } from "hookline/cluster"
import { Egress } from "hookline/egress"
import { Auth, Client, Server } from "hookline/http"
import { PgStorage } from "hookline/postgres"
import * as Runner from "hookline/runner"

const plugins = Plugin.make("shop", { hooks: [] })
export const Member = Hookline.layer({ plugins, cluster: SocketCluster.runner() })
export const Emitter = Hookline.emitter({ plugins, cluster: SocketCluster.client })
export const Stored = PgStorage.layer()
export const Outside = Egress.layer({ allow: [] })
export const Served = Server.layer({ port: 4680, host: "127.0.0.1" })
export const { layer: authorized } = Auth
export const { layer: run } = Runner
export const { make: client } = Client
export const administration = Effect.all({
  connections: Connections.Connections,
  live: Live.Live,
  previews: Previews.Previews,
  subscriptions: Subscriptions.Subscriptions
})
export const tried = Effect.flatMap(administration, ({ connections, live, previews, subscriptions }) =>
  Effect.gen(function*() {
    const [subscription] = yield* subscriptions.list({}, { cursor: undefined, limit: 1 })
    const [connection] = yield* connections.list({}, { cursor: undefined, limit: 1 })
    const { next } = yield* live.listen({})
    return {
      told: yield* next,
      subscription,
      connection: connection && (yield* connections.test(connection.id)),
      trial: subscription && (yield* previews.send(subscription.id, { eventId: "shop.sold" }))
    }
  })
)
`

const declare = (cwd) => {
  Fs.writeFileSync(Path.join(cwd, "backend.ts"), backend)
  const settings = {
    extends: "./tsconfig.json",
    compilerOptions: {
      allowImportingTsExtensions: false,
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: "out"
    },
    files: ["backend.ts"]
  }
  Fs.writeFileSync(Path.join(cwd, "tsconfig.declared.json"), JSON.stringify(settings))
  run(cwd, process.execPath, Path.join(cwd, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.declared.json")
  process.stdout.write("a backend's declarations name the package's types\n")
}

try {
  // Of what was built: packing would build it again.
  run(root, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder)
  const [name] = Fs.readdirSync(folder)
  const tarball = Path.join(folder, name)
  judge(tarball)
  standAlone(tarball)
  declare(followGuides(tarball))
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
