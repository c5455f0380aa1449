/**
 * Messages that this process has stored and whose group it owns: they are routed as they were handed over, without being read. What
 * is here is in the inbox as well, so that it may be forgotten at any time, and read like any other.
 */
import type { Stored } from "../Dispatchers.ts"
import type { Unrouted } from "../Storage.ts"
import * as State from "./State.ts"

/** A batch of them. */
export interface Batch {
  readonly groups: ReadonlyArray<State.Group>
  readonly messages: ReadonlyArray<Unrouted>
  /** As `Waiting` tells it. */
  readonly version: number
  readonly listened: ReadonlySet<string>
  /** Whether there are more that may be routed now. */
  readonly isLeft: boolean
}

/**
 * Takes in messages of a group; false where they have to be read: it was not owned under the same epoch when they were committed, others
 * of it wait to be read, one of them may have been read already, as an answer may be late, or there are too many.
 */
export const add = (state: State.State, group: State.Group, stored: Stored): boolean => {
  const { handed, limits } = state
  if (stored.epoch !== group.owner.epoch || state.unrouted.has(group) || state.reading.has(group)) return false
  let length = 0
  for (const { payloadJson, seq } of stored.messages) {
    if (seq <= group.readSeq) return false
    length += payloadJson.length
  }
  if (handed.count + stored.messages.length > limits.handedMessages) return false
  if (handed.length + length > limits.handedLength) return false
  const known = handed.byGroup.get(group)
  if (known) known.push(...stored.messages)
  else handed.byGroup.set(group, [...stored.messages])
  handed.count += stored.messages.length
  handed.length += length
  handed.version = Math.max(handed.version, stored.version)
  if (stored.isListened) handed.listened.add(group.workerGroup)
  state.route.openUnsafe()
  return true
}

/** Takes out what may be routed now, up to as many as one batch has. */
export const take = (state: State.State, times: State.Times): Batch => {
  const { handed, limits } = state
  const groups: Array<State.Group> = []
  const messages: Array<Unrouted> = []
  for (const [group, waiting] of handed.byGroup) {
    if (messages.length === limits.routeMessages) break
    if (group.phase !== "open") {
      State.forgetHanded(state, group)
      continue
    }
    if (State.isHeldBack(state, group, times)) continue
    groups.push(group)
    for (const message of waiting.splice(0, limits.routeMessages - messages.length)) {
      messages.push(message)
      handed.count--
      handed.length -= message.payloadJson.length
    }
    if (waiting.length === 0) handed.byGroup.delete(group)
  }
  const { version } = handed
  const listened = new Set(handed.listened)
  if (handed.byGroup.size === 0) handed.listened.clear()
  return { groups, messages, version, listened, isLeft: messages.length === limits.routeMessages }
}
