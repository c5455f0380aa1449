/**
 * What a running runner measures, judged by Prometheus' own `promtool`, with the rules and the dashboard's expressions in
 * `docs/grafana`. Takes the `promtool` that is there; else Debian's package is fetched and unpacked in a folder, so that nothing is
 * installed and no service starts. Runs as `npm run metrics`, and is skipped where there is neither.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { createServer } from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import { setTimeout } from "node:timers/promises"
import { freePort } from "../test/support/ports.ts"

const root = Path.resolve(import.meta.dirname, "..")
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-metrics-"))
// The embedded PostgreSQL runs as another user where this one is root.
Fs.chmodSync(folder, 0o711)

const run = (command, args, options = {}) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8", ...options })
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} failed\n${stdout}${stderr}${error ?? ""}`)
  return stdout
}

const isThere = (command, args) => spawnSync(command, args, { stdio: "ignore" }).status === 0

/** The path of a promtool; none where none is to be had. */
const promtool = () => {
  if (isThere("promtool", ["--version"])) return "promtool"
  if (!isThere("apt-get", ["--version"]) || !isThere("dpkg", ["--version"])) return undefined
  // Downloaded by this user: apt's own may not write here, and says so.
  const download = ["-o", "APT::Sandbox::User=root", "download", "prometheus"]
  if (!isThere("apt-get", ["--print-uris", ...download])) run("apt-get", ["update", "-q"])
  run("apt-get", download, { cwd: folder })
  const [file] = Fs.readdirSync(folder).filter((name) => name.endsWith(".deb"))
  run("dpkg", ["-x", file, "prometheus"], { cwd: folder })
  return Path.join(folder, "prometheus", "usr", "bin", "promtool")
}

const listening = async (server) => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server.address().port
}

const key = "hk_metrics_check"

/** Waits for what a function tells, for a minute. */
const until = async (what, read) => {
  for (let n = 0; n < 600; n++) {
    const found = await read().catch(() => undefined)
    if (found !== undefined) return found
    await setTimeout(100)
  }
  throw new Error(`it did not come to pass: ${what}`)
}

/** What a runner measures that has delivered some messages, and failed to deliver others. */
const exposition = async () => {
  const port = await freePort()
  let requests = 0
  const endpoint = createServer((_, response) => response.writeHead(requests++ % 2 === 0 ? 204 : 503).end())
  const url = `http://127.0.0.1:${port}`
  const runner = spawn(process.execPath, [
    "--conditions=hookline-source",
    "src/cli/main.ts",
    "start",
    "--dev",
    "--config=examples/status-page/hookline.config.ts",
    `--port=${port}`,
    `--data-dir=${Path.join(folder, "data")}`
  ], { cwd: root, env: { ...process.env, HOOKLINE_ADMIN_KEY: key }, stdio: ["ignore", "ignore", "inherit"] })
  const call = async (path, body) => {
    const response = await fetch(`${url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.text()
  }
  try {
    await until("the runner is ready", () => call("/health/ready"))
    await call("/api/v1/subscriptions", {
      name: "a",
      events: ["incident.*"],
      providerId: "webhook.webhook",
      config: { url: `http://127.0.0.1:${await listening(endpoint)}/` }
    })
    const at = { createdAt: "2026-01-31T12:00:00Z" }
    const payload = { incidentId: "i-1", systemIds: ["web"], title: "t", severity: "major", status: "open", ...at }
    for (let n = 0; n < 10; n++) await call("/api/v1/messages", { eventId: "incident.incident.created", payload })
    return await until("attempts were recorded, good and bad", async () => {
      const text = await call("/metrics")
      return /outcome="success"/u.test(text) && /outcome="retryable"/u.test(text) ? text : undefined
    })
  } finally {
    runner.kill("SIGTERM")
    if (runner.exitCode === null) await once(runner, "exit")
    endpoint.closeAllConnections()
    endpoint.close()
  }
}

/** The expressions of the dashboard's panels, as rules: what Grafana puts in their places is put there. */
const dashboardRules = () => {
  const { panels } = JSON.parse(Fs.readFileSync(Path.join(root, "docs", "grafana", "hookline.json"), "utf8"))
  const rules = panels.flatMap(({ targets = [] }) => targets).map(({ expr }, n) => ({
    record: `dashboard:expression:${n}`,
    expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*")
  }))
  // YAML takes JSON.
  return JSON.stringify({ groups: [{ name: "dashboard", rules }] })
}

try {
  const tool = promtool()
  if (tool === undefined) {
    process.stdout.write("skipped: there is no promtool, and no apt to get it with\n")
  } else {
    const text = await exposition()
    run(tool, ["check", "metrics"], { input: text })
    process.stdout.write(`promtool has nothing to say on ${text.match(/^# TYPE/gmu).length} metrics of a runner\n`)
    const rules = Path.join(folder, "dashboard.yml")
    Fs.writeFileSync(rules, dashboardRules())
    process.stdout.write(run(tool, ["check", "rules", Path.join(root, "docs", "grafana", "alerts.yml"), rules]))
  }
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
