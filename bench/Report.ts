/**
 * What was measured, for people: pure.
 */
import type { Figure } from "./Figures.ts"
import { bare, ours } from "./Goals.ts"
import type { Machine } from "./Machine.ts"
import type { Results } from "./Results.ts"

/** A system of the tables. */
export interface Listed {
  readonly key: string
  readonly name: string
}

/** A row that was measured elsewhere. */
export interface Quoted {
  readonly row: string
  readonly drainPerSecond: number
  readonly livePerSecond: number
  readonly tenSubscriptionsPerSecond: number
  readonly latency: { readonly p50: number; readonly p99: number }
  readonly hanging: { readonly delivered: number }
  readonly cpuMs: { readonly live: number }
}

/** A number with as many digits as mean something. */
export const shown = (value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return "–"
  const size = Math.abs(value)
  return size >= 100 || Number.isInteger(value)
    ? Math.round(value).toLocaleString("en-US")
    : value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
}

/** A table as Markdown has them, readable as it is too. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${widths.map((width, n) => (cells[n] ?? "").padEnd(width)).join(" | ")} |`
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n")
}

const section = (title: string, text: string): string => `## ${title}\n\n${text}\n`

/** Where it was measured. */
export const ofMachine = (machine: Machine): string =>
  Object.entries(machine).map(([name, value]) => `${name}: ${value}`).join("\n")

const hangingOf = (results: Results, key: string, measure: string): string | undefined => {
  const p99 = results.median(measure, key, "p99")
  const arrived = results.median(measure, key, "arrived") ?? 1
  if (p99 === undefined) return undefined
  return arrived >= 1 ? `${shown(p99)} ms` : `${shown(p99)} ms, ${Math.floor(arrived * 100)} % arrived`
}

/** The systems side by side. */
export const comparison = (results: Results, systems: ReadonlyArray<Listed>, quoted: Quoted): string =>
  table(
    [
      "system",
      "drain /s",
      "live /s",
      "1 to 10 /s",
      "p50/p99 ms at 100/s",
      "healthy p99, 1 of 10 hangs",
      "with a queue each",
      "CPU ms worker/server, live"
    ],
    [
      ...systems.map(({ key, name }) => {
        const at = (measure: string, value: string) => shown(results.median(measure, key, value))
        return [
          name,
          at("drain", "perSecond"),
          at("live", "perSecond"),
          at("ten", "perSecond"),
          `${at("latency", "p50")}/${at("latency", "p99")}`,
          hangingOf(results, key, "isolation-1") ?? "–",
          key === ours ? "has that" : hangingOf(results, key, "isolation-1-queue-per-endpoint") ?? "–",
          `${at("live", "process")}/${at("live", "server")}`
        ]
      }),
      [
        `${quoted.row} (quoted)`,
        shown(quoted.drainPerSecond),
        shown(quoted.livePerSecond),
        shown(quoted.tenSubscriptionsPerSecond),
        `${shown(quoted.latency.p50)}/${shown(quoted.latency.p99)}`,
        `${Math.round(quoted.hanging.delivered * 100)} % arrived`,
        "–",
        `${shown(quoted.cpuMs.live)}/–`
      ]
    ]
  )

const limits = (results: Results): string => {
  const rows: ReadonlyArray<readonly [name: string, value: number | undefined]> = [
    ["bare signed POSTs/s, undici Pool.dispatch", results.median("drain", bare, "perSecond")],
    ["its process, CPU ms each", results.median("drain", bare, "process")],
    ["the same, signed with a KeyObject", results.median("drain-key-object", bare, "perSecond")],
    ["its process, CPU ms each", results.median("drain-key-object", bare, "process")],
    ["single-row commits/s, 16 connections", results.median("bounds", ours, "commits")],
    ["rows/s of 1 KB, 1,000 a statement", results.median("bounds", ours, "bulkRows")],
    ["fdatasync/s of 8 KB appends", results.median("bounds", ours, "fdatasyncs")]
  ]
  return table(["limit", "measured"], rows.map(([name, value]) => [name, shown(value)]))
}

const yes = (holds: boolean) => holds ? "holds" : "no"

/** The figures with their parts. */
export const ofFigures = (figures: ReadonlyArray<Figure>): string =>
  table(
    ["", "figure", "value", "floor", "", "goal", ""],
    figures.flatMap(({ figure, floor, goal, holdsFloor, holdsGoal, name, parts = [], value }) => {
      const cells = (one: { readonly value: number; readonly floor: number; readonly goal: number }) =>
        [shown(one.value), one.floor === 0 ? "–" : shown(one.floor), shown(one.goal)] as const
      const [measured, atLeast, wished] = cells({ value, floor, goal })
      return [
        [String(figure), name, measured, atLeast, yes(holdsFloor), wished, yes(holdsGoal)],
        ...parts.map((part) => {
          const [partly, partFloor, partGoal] = cells(part)
          return [
            "",
            `– ${part.name}`,
            partly,
            partFloor,
            part.floor === 0 ? "" : yes(part.holdsFloor),
            partGoal,
            yes(part.holdsGoal)
          ]
        })
      ]
    })
  )

const medians = (results: Results): string =>
  table(
    ["measure", "system", "rounds", "medians"],
    results.rows().map(({ measure, rounds, system, values }) => [
      measure,
      measure === "bounds" ? "the machine" : system,
      String(rounds),
      Object.entries(values).map(([name, value]) => `${name} ${shown(value)}`).join(", ")
    ])
  )

/** All of it. */
export const report = ({ figures, machine, quoted, results, systems, telemetry }: {
  readonly machine: Machine
  readonly results: Results
  readonly systems: ReadonlyArray<Listed>
  readonly quoted: Quoted
  readonly telemetry: ReadonlyArray<
    { readonly name: string; readonly value: number; readonly floor: number; readonly holdsFloor: boolean }
  >
  readonly figures: ReadonlyArray<Figure>
}): string =>
  [
    section("Where", ofMachine(machine)),
    section("Systems", comparison(results, systems, quoted)),
    section("Limits of the machine", limits(results)),
    section("Figures", ofFigures(figures)),
    ...(telemetry.length === 0 ? [] : [section(
      "Telemetry, against none",
      telemetry.map(({ floor, holdsFloor, name, value }) =>
        floor === 0 ? `${name}: ${shown(value)}` : `${name}: ${shown(value)}, floor ${floor}: ${yes(holdsFloor)}`
      ).join("\n")
    )]),
    section("All that was measured", medians(results)),
    ...(results.failures.length === 0 ? [] : [section(
      "What did not come to its end",
      results.failures.map(({ measure, message, system }) => `${system}, ${measure}: ${message}`).join("\n")
    )])
  ].join("\n")
