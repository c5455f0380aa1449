/**
 * Messages that this process has stored and whose group it owns: they are routed as they were handed over, without being read. What
 * is here is in the inbox as well, so that it may be forgotten at any time, and read like any other.
 */
import type { Committed } from "../Dispatchers.ts"
import type { Unrouted } from "../Storage.ts"
import * as State from "./State.ts"

/** A batch of them. */
export interface Batch {
  readonly groups: ReadonlyArray<State.Group>
  readonly messages: ReadonlyArray<Unrouted>
  /** As `Waiting` tells it. */
  readonly version: number
  /** Whether there are more that may be routed now. */
  readonly isLeft: boolean
}

/**
 * Takes in messages of a group; false where they have to be read: it was not owned under the same epoch when they were committed, others
 * of it wait to be read, one of them may have been read already, as an answer may be late, there are too many, or so many that tenants
 * have to take turns.
 */
export const add = (state: State.State, group: State.Group, committed: Committed): boolean => {
  const { handed, limits } = state
  if (committed.epoch !== group.owner.epoch || state.unrouted.has(group)) return false
  const known = handed.byGroup.get(group) ?? []
  const tenantId = (known[0] ?? committed.messages[0])?.tenantId
  let length = 0
  for (const message of committed.messages) {
    if (message.seq <= group.readSeq) return false
    if (known.length >= limits.routeTenants && message.tenantId !== tenantId) return false
    length += message.payloadJson.length
  }
  if (handed.count + committed.messages.length > limits.handedMessages) return false
  if (handed.length + length > limits.handedLength) return false
  known.push(...committed.messages)
  handed.byGroup.set(group, known)
  handed.count += committed.messages.length
  handed.length += length
  handed.version = Math.max(handed.version, committed.version)
  state.route.openUnsafe()
  return true
}

/** Notes what was read, which may have been handed over meanwhile. */
export const read = (state: State.State, messages: ReadonlyArray<Unrouted>): void => {
  const { groups, handed } = state
  const found = new Map<State.Group, Set<number>>()
  for (const { seq, workerGroup } of messages) {
    const group = groups.get(workerGroup)
    if (!group) continue
    group.readSeq = Math.max(group.readSeq, seq)
    if (!handed.byGroup.has(group)) continue
    const seqs = found.get(group) ?? new Set()
    found.set(group, seqs.add(seq))
  }
  for (const [group, seqs] of found) {
    const others = (handed.byGroup.get(group) ?? []).filter(({ seq }) => !seqs.has(seq))
    State.forgetHanded(state, group)
    if (others.length === 0) continue
    handed.byGroup.set(group, others)
    for (const message of others) count(state, message, 1)
  }
}

/** Takes out what may be routed now, up to as many as one batch has. */
export const take = (state: State.State, times: State.Times): Batch => {
  const { handed, limits } = state
  const groups: Array<State.Group> = []
  const messages: Array<Unrouted> = []
  for (const [group, waiting] of handed.byGroup) {
    if (messages.length === limits.routeMessages) break
    if (State.isHeldBack(state, group, times)) continue
    groups.push(group)
    for (const message of waiting.splice(0, limits.routeMessages - messages.length)) {
      messages.push(message)
      count(state, message, -1)
    }
    // What is left has its turn after the others.
    handed.byGroup.delete(group)
    if (waiting.length > 0) handed.byGroup.set(group, waiting)
  }
  return { groups, messages, version: handed.version, isLeft: messages.length === limits.routeMessages }
}

// --- internal ---

const count = ({ handed }: State.State, { payloadJson }: Unrouted, by: 1 | -1): void => {
  handed.count += by
  handed.length += by * payloadJson.length
}
