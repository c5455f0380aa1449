/**
 * Imports the built root export in a folder where only `effect` is installed: the optional peers must not be needed.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-root-"))
try {
  const modules = Path.join(folder, "node_modules")
  Fs.mkdirSync(Path.join(modules, "hookline"), { recursive: true })
  Fs.cpSync(Path.join(root, "node_modules", "effect"), Path.join(modules, "effect"), { recursive: true })
  Fs.cpSync(Path.join(root, "dist"), Path.join(modules, "hookline", "dist"), { recursive: true })
  Fs.copyFileSync(Path.join(root, "package.json"), Path.join(modules, "hookline", "package.json"))
  const script = "import { Hook, Hookline } from \"hookline\"; if (!Hook.make || !Hookline.layer) process.exit(1)"
  execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: folder, stdio: "inherit" })
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
