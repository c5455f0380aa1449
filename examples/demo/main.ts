/**
 * The demonstration, which proves itself: a backend opens 1,000 incidents, 100 of them in transactions that roll back, and
 * three receivers hear of them: one is well, one fails twice before it accepts, one hangs. In the end what the emitters were
 * told, what the delivery log says and what the receivers saw must agree; else it says what does not, and exits with 1.
 *
 * npm run demo
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Logger, References } from "effect"
import * as Backend from "./Backend.ts"
import * as DeliveryLog from "./DeliveryLog.ts"
import * as Emitters from "./Emitters.ts"
import * as Progress from "./Progress.ts"
import * as Receivers from "./Receivers.ts"
import * as Summary from "./Summary.ts"
import * as Verdict from "./Verdict.ts"

const plan: Emitters.Plan = { incidents: 1000, rolledBack: 100 }

/** What is not final by then counts as lost. */
const patience = "75 seconds"

/** For all of it. */
const limit = "2 minutes"

const demonstrate = (receivers: Effect.Success<typeof Receivers.listen>) =>
  Effect.gen(function*() {
    const subscribed = yield* Effect.forEach(receivers, Receivers.subscribe)
    let count = 0
    const tell = (n: number) => {
      count = n
    }
    const told = yield* Emitters.run(plan, tell).pipe(
      Progress.during("emitting", () => Progress.count(count, plan.incidents))
    )
    const expected = subscribed.length * Emitters.titlesOf(told, "committed").length
    tell(0)
    yield* DeliveryLog.settled(expected, tell).pipe(
      Effect.timeoutOption(patience),
      Progress.during("delivering", () => Progress.count(count, expected))
    )
    const evidence = Effect.gen(function*() {
      const messages = yield* DeliveryLog.messages
      const witnesses = yield* Effect.forEach(subscribed, (receiver) =>
        Effect.map(
          DeliveryLog.deliveriesOf(receiver.subscriptionId),
          (deliveries): Verdict.Witness => ({ ...receiver, deliveries })
        ))
      return { plan, told, messages, witnesses } satisfies Verdict.Evidence
    })
    return yield* Progress.during("checking", () => "the delivery log, attempt by attempt")(evidence)
  })

const main = Effect.gen(function*() {
  const incidents = plan.incidents.toLocaleString("en-US")
  yield* Console.log(`${incidents} incidents, ${plan.rolledBack} of them rolled back, for three receivers\n`)
  const receivers = yield* Receivers.listen
  const backend = yield* Layer.build(Backend.layer).pipe(
    Progress.during("starting", () => "PostgreSQL, Hookline and three receivers")
  )
  return yield* Effect.provide(demonstrate(receivers), backend)
}).pipe(
  Effect.timeout(limit),
  // All is stopped when the table is shown.
  Effect.scoped,
  Effect.flatMap((evidence) => {
    const findings = Verdict.findings(evidence)
    if (findings.length > 0) process.exitCode = 1
    return Console.log(`\n${Summary.table(evidence)}\n\n${Summary.verdict(findings)}`)
  })
)

// A closed terminal stops it as Ctrl-C does, so that PostgreSQL is not left behind; what is still said then, nobody reads.
process.once("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
process.stdout.on("error", () => {})

main.pipe(
  Effect.provideService(References.MinimumLogLevel, "Warn"),
  Effect.provideService(Logger.LogToStderr, true),
  NodeRuntime.runMain
)
