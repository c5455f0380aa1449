/**
 * Sees to it that the peers are there: `node bench/peers/install.ts`. Quick where they are.
 */
import { execFileSync, type ExecFileSyncOptions } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { find, unpacked } from "./Redis.ts"

const folder = import.meta.dirname
const modules = Path.join(folder, "node_modules")

/** A copy of the lock file, as it was when `npm ci` last ended well. */
const installedLock = Path.join(modules, ".installed-package-lock.json")

const say = (text: string) => {
  process.stderr.write(`peers: ${text}\n`)
}

const run = (command: string, args: ReadonlyArray<string>, options: ExecFileSyncOptions = {}) =>
  execFileSync(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"], ...options })

const read = (file: string) => Fs.existsSync(file) ? Fs.readFileSync(file, "utf8") : undefined

const installPackages = () => {
  const lock = Fs.readFileSync(Path.join(folder, "package-lock.json"), "utf8")
  if (read(installedLock) === lock) return
  say("npm ci in bench/peers")
  run("npm", ["ci", "--no-progress"])
  Fs.writeFileSync(installedLock, lock)
}

/** The packages that Debian would install beside what the machine has. */
const missing = () => {
  const told = String(execFileSync("apt-get", ["install", "--simulate", "--no-install-recommends", "redis-server"], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, LC_ALL: "C" }
  }))
  return [...told.matchAll(/^Inst (\S+)/gmu)].flatMap(([, name]) => name === undefined ? [] : [name])
}

const attempt = <A>(get: () => A): A | undefined => {
  try {
    return get()
  } catch {
    return undefined
  }
}

/**
 * Unpacks Debian's packages into `.debian`: nothing is installed, no service is started, and one need not be root, unless apt has
 * no lists of packages yet.
 */
const unpackRedis = () => {
  let names = attempt(missing)
  if (!names && process.getuid?.() === 0) {
    say("apt-get update, as apt does not know redis-server yet")
    attempt(() => run("apt-get", ["update", "-qq"]))
    names = attempt(missing)
  }
  if (!names) return
  say(`unpacks ${names.join(", ")} from Debian into bench/peers/.debian`)
  Fs.rmSync(unpacked, { recursive: true, force: true })
  Fs.mkdirSync(unpacked)
  run("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", ...names], { cwd: unpacked })
  for (const file of Fs.readdirSync(unpacked).filter((file) => file.endsWith(".deb"))) {
    run("dpkg-deb", ["--extract", file, "."], { cwd: unpacked })
    Fs.rmSync(Path.join(unpacked, file))
  }
}

const installRedis = () => {
  if (find()) return
  unpackRedis()
  if (find()) return
  throw new Error(
    "BullMQ needs redis-server in PATH. On Debian: apt-get install redis-server, as root (or apt-get update, as root, and this again)."
  )
}

/** Makes sure that all is there; throws what to do where it cannot. */
export const install = (): void => {
  installPackages()
  installRedis()
}

if (import.meta.main) {
  install()
  const { versions } = await import("./index.ts")
  for (const [name, version] of Object.entries(versions())) say(`${name} ${version}`)
}
