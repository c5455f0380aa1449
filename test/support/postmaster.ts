/**
 * The server of a folder that is to be removed, ended whatever still uses it. Stopped by its scope it goes on where something
 * of Hookline's has a session, as it is another runner's then.
 */
import { Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** The process that the lock file names; undefined where there is none. */
const named = (data: string): number | undefined => {
  try {
    return Number(Fs.readFileSync(Path.join(data, "postmaster.pid"), "utf8").split("\n", 1)[0])
  } catch {
    return undefined
  }
}

/** Whether a process is the folder's server, which works in it: the lock file of one that was killed names whatever came after. */
const serves = (pid: number, data: string): boolean => {
  try {
    return Fs.readlinkSync(`/proc/${pid}/cwd`) === Fs.realpathSync(data)
  } catch {
    return false
  }
}

/** The server that runs in the folder of the data; undefined where none does. */
export const running = (data: string): number | undefined => {
  const pid = named(data)
  return pid !== undefined && serves(pid, data) ? pid : undefined
}

/** Ends the server that runs in the folder of the data at once, and waits until it is gone. */
export const end = (data: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const pid = running(data)
    if (pid === undefined) return Effect.void
    process.kill(pid, "SIGQUIT")
    return Effect.sync(() => serves(pid, data)).pipe(
      Effect.repeat({
        while: (is) => is,
        schedule: Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "10 seconds" }))
      }),
      Effect.asVoid
    )
  })
