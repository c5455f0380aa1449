/**
 * `hookline subscriptions rotate-secret`: a new signing secret beside the one that receivers hold.
 */
import { Console, Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { defaults } from "../Limits.ts"
import * as Delay from "./Delay.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * **Gotchas**
 *
 * Asked twice it rotates twice: the secret of the first answer then is an old one, which signs until the overlap is over.
 *
 * @category commands
 * @since 0.1.0
 */
export const rotateSecret = Command.make("rotate-secret", {
  id: Ids.subscription,
  signingSecret: Flag.Redacted("secret").pipe(
    Flag.withDescription("The new signing secret, whsec_… (one is made)"),
    Flag.optional
  ),
  overlap: Flag.String("overlap").pipe(
    Flag.withDescription("How long the old one signs too, as in 30m, 24h or 7d; 0s ends it at once (24h)"),
    Flag.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const overlapMs = Option.isSome(given.overlap) ? Option.some(yield* overlap(given.overlap.value)) : Option.none()
    const remote = yield* Remote.connect(given)
    const payload = Input.given({ overlapMs, signingSecret: Option.map(given.signingSecret, Redacted.value) })
    const rotated = yield* remote.ask((client) =>
      client.subscriptions.rotateSecret({ params: { id: given.id }, payload })
    )
    if (given.json) return yield* Output.json(rotated)
    yield* Output.fields([
      ["subscription", { text: rotated.id, tone: "strong" }],
      ["name", rotated.name],
      ["signing secret", { text: rotated.signingSecret, tone: "warn" }],
      ["public key", rotated.signingPublicKeys?.[0]]
    ])
    yield* Console.error("Keep the signing secret: it is not shown again.")
    yield* Console.error(meanwhile(overlapMs))
  })).pipe(
    Command.withDescription("Makes a new signing secret; for a while the old one signs too"),
    Command.withExamples([{ command: "hookline subscriptions rotate-secret sub_… --overlap 7d" }])
  )

// --- internal ---

const maximumDays = defaults.rotationOverlapMaxMs / 86_400_000

const overlap = Effect.fnUntraced(function*(text: string) {
  const overlapMs = yield* Delay.milliseconds(text)
  return overlapMs <= defaults.rotationOverlapMaxMs ? overlapMs : yield* new Remote.CommandFailed({
    message: `--overlap ${text} is too long: at most ${maximumDays}d.`
  })
})

const meanwhile = (overlapMs: Option.Option<number>): string =>
  Option.isSome(overlapMs) && overlapMs.value === 0
    ? "The old one does not sign any more."
    : "The old one signs too until the overlap is over: have receivers take the new one in that time."
