/**
 * From what was measured to the figures: what is divided by what, and what has to come of it. Pure.
 */
import { type Figure, figure, type Part } from "./Figures.ts"
import type { Results } from "./Results.ts"

/** Which systems are compared. */
export interface Compared {
  /** Keys of the peers that store in PostgreSQL. */
  readonly onPostgres: ReadonlyArray<string>
  /** Keys of BullMQ's rows. */
  readonly bullmq: ReadonlyArray<string>
  /** Keys of all peers. */
  readonly all: ReadonlyArray<string>
}

/** Hookline's key and that of bare POSTs. */
export const ours = "hookline"
export const bare = "bare"

type Bounds = readonly [floor: number, goal: number]

/** Where the table sets a goal and no floor. */
const noFloor = 0

/** The figures of which everything was measured that they need; without peers, the parts that need none. */
export const figures = (results: Results, peers: Compared): ReadonlyArray<Figure> => {
  const at = (measure: string, value: string, system = ours) => results.median(measure, system, value)
  const best = (
    keys: ReadonlyArray<string>,
    measure: string,
    value: string,
    pick: (...all: Array<number>) => number
  ) => {
    const found = keys.flatMap((key) => at(measure, value, key) ?? [])
    return found.length === 0 ? undefined : pick(...found)
  }
  const most = (keys: ReadonlyArray<string>, measure: string, value = "perSecond") =>
    best(keys, measure, value, Math.max)
  const least = (keys: ReadonlyArray<string>, measure: string, value: string) => best(keys, measure, value, Math.min)

  /** A part, where it was measured; `more` says whether more is better. */
  const part = (
    name: string,
    more: boolean,
    [floor, goal]: Bounds,
    value: number | undefined
  ): ReadonlyArray<Part> => value === undefined ? [] : [{ name, value, floor, goal, more }]

  /** A part that is one by the other, where both were measured. */
  const ratio = (name: string, more: boolean, bounds: Bounds, value: number | undefined, by: number | undefined) =>
    part(name, more, bounds, value === undefined || by === undefined ? undefined : value / by)

  const hasPeers = peers.all.length > 0
  const hanging = (n: number) => [
    ...part(`${n} of 10 hang: share of the others' that arrived`, true, [1, 1], at(`isolation-${n}`, "arrived")),
    ...ratio(`${n} of 10 hang: healthy p99`, false, [2, 1.2], at(`isolation-${n}`, "p99"), at("isolation-0", "p99"))
  ]
  const mb = (bytes: number | undefined) => bytes === undefined ? undefined : bytes / 1024 ** 2
  return [
    figure(
      1,
      "drain, against the best peer on PostgreSQL and bare signed POSTs",
      !hasPeers ? [] : [
        ...ratio(
          "the best peer on PostgreSQL",
          true,
          [1, 1.5],
          at("drain", "perSecond"),
          most(peers.onPostgres, "drain")
        ),
        ...ratio("bare signed POSTs", true, [noFloor, 0.45], at("drain", "perSecond"), most([bare], "drain"))
      ]
    ),
    figure(2, "produce and deliver at once, against the best peer on PostgreSQL and BullMQ", [
      ...ratio("the best peer on PostgreSQL", true, [2, 3], at("live", "perSecond"), most(peers.onPostgres, "live")),
      ...ratio("BullMQ", true, [noFloor, 1], at("live", "perSecond"), most(peers.bullmq, "live"))
    ]),
    figure(
      3,
      "the same load spread over 1,000 events and subscriptions, against figure 2's",
      ratio("spread", true, [0.7, 0.9], at("spread", "perSecond"), at("live", "perSecond"))
    ),
    figure(4, "fan-out, against the best peer", [
      ...ratio("to 10 subscriptions", true, [1, 1.5], at("ten", "perSecond"), most(peers.all, "ten")),
      ...ratio("to 10,000 subscriptions", true, [1, 1.5], at("broad", "perSecond"), most(peers.all, "broad"))
    ]),
    figure(5, "emit to receive at 100/s, against the best peer on PostgreSQL", [
      ...ratio("p50", false, [1.25, 1], at("latency", "p50"), least(peers.onPostgres, "latency", "p50")),
      ...ratio("p99", false, [1.25, 1], at("latency", "p99"), least(peers.onPostgres, "latency", "p99"))
    ]),
    figure(6, "isolation, against the same with no endpoint that hangs", [...hanging(1), ...hanging(5)]),
    figure(7, "emit: group commit against one commit each; inside a caller's transaction", [
      ...ratio("group commit", true, [3, 5], at("emit", "perSecond"), at("emit-each", "perSecond")),
      ...part("statements inside a transaction", false, [1, 1], at("transaction", "statements")),
      ...part("round trips inside a transaction", false, [1, 1], at("transaction", "roundTrips"))
    ]),
    figure(8, `CPU per delivery${hasPeers ? "" : ": worker, draining, against a bare signed POST"}`, [
      ...ratio(
        "worker, draining, against a bare signed POST",
        false,
        [3, 2],
        at("drain", "process"),
        at("drain", "process", bare)
      ),
      ...ratio(
        "PostgreSQL, live, against the best peer on PostgreSQL",
        false,
        [0.26, 0.16],
        at("live", "server"),
        least(peers.onPostgres, "live", "server")
      )
    ]),
    figure(
      9,
      "growth: drain with a million waiting and five million finished, against a fresh database",
      ratio("drain", true, [0.9, 1], at("grown", "perSecond"), at("fresh", "perSecond"))
    ),
    figure(10, "memory and idle", [
      ...ratio(
        "RSS after the last load, against the first",
        false,
        [1.1, 1.1],
        at("memory", "rssLast"),
        at("memory", "rssFirst")
      ),
      ...part("RSS, MB", false, [400, 400], mb(at("memory", "rssMost"))),
      ...part("RSS at its peak, MB", false, [noFloor, 400], mb(at("memory", "rssPeak"))),
      ...part("heap, MB", false, [150, 150], mb(at("memory", "heap"))),
      ...part("idle CPU, share of a core", false, [0.03, 0.01], at("memory", "idle"))
    ]),
    figure(11, "two runners on one hot event, against one", [
      // Two runs of the same differ by some percent: that is no rise.
      ...ratio("CPU per delivery", false, [1.1, 1.1], at("runners-2", "cpu"), at("runners-1", "cpu")),
      ...part("sessions that wait for another's lock, mean", false, [0.1, 0.1], at("runners-2", "lockWaits")),
      ...ratio("deliveries a second", true, [noFloor, 1.5], at("runners-2", "perSecond"), at("runners-1", "perSecond"))
    ])
  ].filter((one) => one !== undefined)
}

/** What telemetry costs: throughput with it on against off, by how much is sampled. */
export const telemetry = (results: Results): ReadonlyArray<Part & { readonly holdsFloor: boolean }> => {
  const off = results.median("telemetry-off", ours, "perSecond")
  if (off === undefined) return []
  return [
    { measure: "telemetry-default", name: "a hundredth of the messages traced, the default", floor: 0.9 },
    { measure: "telemetry-all", name: "every message traced", floor: noFloor }
  ].flatMap(({ floor, measure, name }) => {
    const on = results.median(measure, ours, "perSecond")
    return on === undefined
      ? []
      : [{ name, value: on / off, floor, goal: floor, more: true, holdsFloor: on / off >= floor }]
  })
}
