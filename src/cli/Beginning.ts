/**
 * How a runner's own process begins: with room for little that is new, which can't be said later. Nothing else is loaded for it.
 */

/**
 * What has to be said when a process starts whose memory is kept small: how many MB new objects may take, in each of two halves; that
 * none is made in old memory at once, see "What memory holds" in `docs/architecture.md`; and to glibc, which otherwise keeps memory apart
 * for each of many threads, for how many.
 *
 * @category constants
 * @since 0.1.0
 */
export const small = {
  execArgv: ["--max-semi-space-size=16", "--no-allocation-site-pretenuring"],
  env: { MALLOC_ARENA_MAX: "2" }
} as const

/**
 * Begins this process anew so, under the same id, unless whoever started it said something of the heap. Where that can't be, on
 * Windows, in a process that is a fork's or has limited rights, it goes on as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const beginSmall = (): void => {
  const hasBegun = small.execArgv.every((argument) => process.execArgv.includes(argument))
  const isFree = process.platform !== "win32" && !process.connected && process.permission === undefined
  if (hasBegun || isSaid || process.execve === undefined || !isFree) return
  process.execve(
    process.execPath,
    [process.argv0, ...small.execArgv, ...process.execArgv, ...process.argv.slice(1)],
    { ...small.env, ...process.env }
  )
}

/**
 * Whether whoever started this process said something of the heap.
 *
 * @category constants
 * @since 0.1.0
 */
export const isSaid: boolean = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(" ")]
  .map((argument) => argument.replaceAll("_", "-"))
  .some((argument) =>
    /^--(heap-growing-percent|(min|max)-semi-space-size|max-old-space-size)/u.test(argument) &&
    !small.execArgv.some((own) => own === argument)
  )
