/**
 * What is shown of a command line that can't be understood: the command's help and what is wrong with it, all of it on stderr,
 * as who reads a command's output expects an answer there.
 */
import { Console, Effect } from "effect"
import { CliError, CliOutput, TerminalCapabilities } from "effect/cli"

/**
 * Presents what the command line's parser has to say; help and version that were asked for are answers, on stdout.
 *
 * @category printing
 * @since 0.1.0
 */
export const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function*() {
        const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
        const formatter = CliOutput.defaultFormatter({ colors: canColor })
        yield* Console.error(formatter.formatHelpDoc(event.helpDoc))
        yield* Console.error(formatter.formatErrors(event.errors.map(readable)))
      })
      : CliOutput.defaultPresenter.present(event)
}

// --- internal ---

/** How a value was checked is of no use to who gave it: what is expected stays. */
const readable = (error: CliError.NonShowHelpErrors): CliError.NonShowHelpErrors =>
  error._tag === "InvalidValue"
    ? new CliError.InvalidValue({ ...error, expected: error.expected.replace(/^Schema validation failed: /u, "") })
    : error
