import { assert, describe, it } from "@effect/vitest"
import { groupsOf, hotEvent, partitionOf } from "./Events.ts"
import type { Request } from "./Receivers.ts"
import * as Verdict from "./Verdict.ts"
import type { Attempt, Delivery, Evidence, Sight, Subscription } from "./verdict/Evidence.ts"

const messageId = "msg_1"
const deliveryId = "dlv_1"
const startedAtMs = 1_000_200

const subscription: Subscription = { id: "sub_1", receiver: "well", events: ["chaos.*"] }

const attempt = (over: Partial<Attempt> = {}): Attempt => ({
  deliveryId,
  number: 1,
  startedAtMs,
  durationMs: 10,
  outcome: "success",
  statusCode: 204,
  epoch: 1,
  claims: 1,
  ...over
})

const request = (over: Partial<Request> = {}): Request => ({
  receiver: "well",
  messageId,
  deliveryId,
  eventId: "chaos.event1",
  process: "a1",
  sentAtSeconds: Math.floor(startedAtMs / 1000),
  attempt: undefined,
  atMs: startedAtMs + 5,
  endedAtMs: startedAtMs + 6,
  key: "k",
  status: 204,
  full: true,
  ...over
})

const delivery = (over: Partial<Delivery> = {}): Delivery => ({
  id: deliveryId,
  messageId,
  subscriptionId: "sub_1",
  status: "success",
  reason: null,
  attempts: 1,
  claims: 0,
  ...over
})

/** One message, emitted, stored, delivered and accepted; with what is planted. */
const judge = (over: Partial<Evidence> = {}): Verdict.Verdict =>
  Verdict.make({
    emissions: [{ key: "k", eventId: "chaos.event1", once: false, receipts: [messageId], refusals: [] }],
    subscriptions: [subscription],
    messages: [{ id: messageId, eventId: "chaos.event1", key: "k", state: "routed" }],
    deliveries: [delivery()],
    attempts: [attempt()],
    requests: [request()],
    owned: [{ workerGroup: "integration.chaos.event1", epoch: 1, seenAtMs: startedAtMs }],
    sights: [],
    unclosed: [],
    broadcasts: [],
    hearings: [],
    lives: [],
    hindrances: [],
    ...over
  })

const whats = ({ findings }: Verdict.Verdict) => findings.map(({ what }) => what)

/** So many messages, each delivered and accepted at once, by attempts that differ as told. */
const many = (
  count: number,
  attemptOf: (n: number) => Partial<Attempt>,
  keyOf: (n: number) => string = (n) => `k${n}`
) => {
  const all = Array.from({ length: count }, (_, n) => ({
    message: { id: `msg_${n}`, eventId: "chaos.event1", key: keyOf(n), state: "routed" as const },
    deliveryId: `dlv_${n}`,
    attempt: attempt({ deliveryId: `dlv_${n}`, ...attemptOf(n) })
  }))
  return {
    messages: all.map(({ message }) => message),
    emissions: all.map(({ message: { eventId, id, key } }) => ({
      key,
      eventId,
      once: false,
      receipts: [id],
      refusals: []
    })),
    deliveries: all.map(({ deliveryId: id, message }) => delivery({ id, messageId: message.id })),
    attempts: all.map(({ attempt }) => attempt),
    requests: all.map(({ attempt: { startedAtMs }, deliveryId, message }) =>
      request({
        deliveryId,
        messageId: message.id,
        key: message.key,
        sentAtSeconds: Math.floor(startedAtMs / 1000),
        atMs: startedAtMs + 5,
        endedAtMs: startedAtMs + 6
      })
    )
  }
}

/** A timeout, and the success after it. */
const timedOut = [
  attempt({ outcome: "timeout", statusCode: null, durationMs: 1000 }),
  attempt({ number: 2, startedAtMs: startedAtMs + 2000 })
]
const later = request({ sentAtSeconds: 1002, atMs: startedAtMs + 2005 })

describe("the verdict of chaos", () => {
  it("finds nothing where all agree", () => {
    const { findings, limits, outcomes, ...counts } = judge()
    assert.deepStrictEqual(findings, [])
    assert.deepStrictEqual(outcomes, { success: 1 })
    assert.deepStrictEqual(limits, [])
    assert.deepStrictEqual(counts, { emitted: 1, delivered: 1, lost: 0, duplicates: 0, duplicatesUnexplained: 0 })
  })

  it("finds what an ordered subscription got before what was emitted earlier", () => {
    const [first, second] = [
      { id: "msg_1", key: "a-1", deliveryId: "dlv_1" },
      { id: "msg_2", key: "a-2", deliveryId: "dlv_2" }
    ] as const
    const told = (order: ReadonlyArray<typeof first | typeof second>) =>
      judge({
        subscriptions: [{ ...subscription, events: ["chaos.event1"], ordered: true }],
        emissions: [first, second].map(({ id, key }) => ({
          key,
          eventId: "chaos.event1",
          once: false,
          receipts: [id],
          refusals: []
        })),
        messages: [first, second].map(({ id, key }) => ({ id, eventId: "chaos.event1", key, state: "routed" })),
        deliveries: [first, second].map(({ deliveryId: id, id: messageId }) => delivery({ id, messageId })),
        attempts: [first, second].map(({ deliveryId }) => attempt({ deliveryId })),
        requests: order.map(({ deliveryId, id, key }) => request({ deliveryId, messageId: id, key })),
        owned: []
      })
    assert.deepStrictEqual(whats(told([first, second])), [])
    assert.deepStrictEqual(whats(told([second, first])), ["sent before what was emitted earlier"])
  })

  describe("counts as lost", () => {
    it("a receipt whose message is not stored", () => {
      assert.strictEqual(judge({ messages: [], deliveries: [], attempts: [], requests: [] }).lost, 1)
    })

    it("a pair without a delivery", () => {
      const verdict = judge({ deliveries: [], attempts: [], requests: [] })
      assert.strictEqual(verdict.lost, 1)
      assert.strictEqual(verdict.delivered, 0)
    })

    it("a pair without a delivery though the emitter has no receipt: what is stored is owed", () => {
      const emissions = [{ key: "k", eventId: "chaos.event1", once: true, receipts: [], refusals: [] }]
      assert.strictEqual(judge({ emissions, deliveries: [], attempts: [], requests: [] }).lost, 1)
    })

    it("a success that the receiver did not see, or did not answer in full", () => {
      for (const requests of [[], [request({ full: false })], [request({ status: 500 })]]) {
        const verdict = judge({ requests })
        assert.strictEqual(verdict.lost, 1)
        assert.include(whats(verdict), "lost: neither accepted nor with an outcome and its reason")
      }
      assert.include(whats(judge({ requests: [] })), "an answer is recorded that its receiver did not give")
    })

    it("an unfinished delivery, and a failed one without a reason", () => {
      const attempts: ReadonlyArray<Attempt> = []
      const unfinished = delivery({ status: "unfinished", attempts: 0 })
      assert.strictEqual(judge({ deliveries: [unfinished], attempts, requests: [] }).lost, 1)
      assert.include(whats(judge({ deliveries: [unfinished], attempts, requests: [] })), "not finished")
      assert.strictEqual(
        judge({ deliveries: [delivery({ status: "failed", attempts: 0 })], attempts, requests: [] }).lost,
        1
      )
    })

    it("but not a failure with its reason", () => {
      const verdict = judge({
        deliveries: [delivery({ status: "failed", reason: "exhausted" })],
        attempts: [attempt({ outcome: "retryable", statusCode: 500 })],
        requests: [request({ status: 500 })]
      })
      assert.deepStrictEqual(verdict.findings, [])
      assert.strictEqual(verdict.lost, 0)
      assert.deepStrictEqual(verdict.outcomes, { "failed, exhausted": 1 })
    })
  })

  describe("explains a second acceptance", () => {
    it("by an attempt that timed out, was interrupted or lost its connection", () => {
      for (const outcome of ["timeout", "interrupted", "retryable"] as const) {
        const verdict = judge({
          deliveries: [delivery({ attempts: 2 })],
          attempts: timedOut.map((one) => one.number === 1 ? { ...one, outcome } : one),
          requests: [request(), later]
        })
        assert.deepStrictEqual(verdict.findings, [])
        assert.strictEqual(verdict.duplicates, 1)
      }
    })

    it("by a claim without an outcome, which left its mark on the next attempt", () => {
      const verdict = judge({
        attempts: [attempt({ claims: 2, epoch: 2 })],
        requests: [request({ sentAtSeconds: 995, atMs: 995_000 }), request()]
      })
      assert.deepStrictEqual(verdict.findings, [])
      assert.strictEqual(verdict.duplicates, 1)
    })

    it("by the claims of a delivery whose owners crashed", () => {
      const verdict = judge({
        deliveries: [delivery({ status: "failed", reason: "crashed-owner", attempts: 0, claims: 3 })],
        attempts: [],
        requests: [request(), request(), request()]
      })
      assert.deepStrictEqual(verdict.findings, [])
      assert.strictEqual(verdict.duplicates, 2)
    })
  })

  describe("does not explain a second acceptance", () => {
    const more = "more requests than attempts and claims"

    it("where the only claim has one successful attempt", () => {
      const verdict = judge({ requests: [request(), request({ atMs: startedAtMs + 300 })] })
      assert.strictEqual(verdict.duplicates, 1)
      assert.strictEqual(verdict.duplicatesUnexplained, 1)
      assert.include(whats(verdict), more)
    })

    it("beyond the claims that left a mark", () => {
      const verdict = judge({
        attempts: [attempt({ claims: 2 })],
        requests: [request({ sentAtSeconds: 990 }), request({ sentAtSeconds: 995 }), request()]
      })
      assert.strictEqual(verdict.duplicatesUnexplained, 1)
    })

    it("by a claim that came after it", () => {
      const verdict = judge({
        deliveries: [delivery({ attempts: 2 })],
        attempts: [
          attempt({ outcome: "retryable", statusCode: 500 }),
          attempt({ number: 2, startedAtMs: startedAtMs + 5000, claims: 2 })
        ],
        requests: [
          request({ sentAtSeconds: 990 }),
          request({ status: 500 }),
          request({ sentAtSeconds: 1005, atMs: startedAtMs + 5005 })
        ]
      })
      assert.include(whats(verdict), more)
      assert.strictEqual(verdict.duplicatesUnexplained, 1)
    })

    it("by an attempt whose answer was another", () => {
      const verdict = judge({
        deliveries: [delivery({ attempts: 2 })],
        attempts: [
          attempt({ outcome: "retryable", statusCode: 500 }),
          attempt({ number: 2, startedAtMs: startedAtMs + 2000 })
        ],
        requests: [request(), later]
      })
      assert.strictEqual(verdict.duplicatesUnexplained, 1)
      assert.include(whats(verdict), "an answer is recorded that its receiver did not give")
    })
  })

  describe("finds", () => {
    it("a request beyond what the rows account for, though it was not accepted", () => {
      const verdict = judge({ requests: [request(), request({ status: undefined, full: false })] })
      assert.deepStrictEqual(whats(verdict), ["more requests than attempts and claims"])
    })

    it("two outcomes of one delivery, and two deliveries of a pair", () => {
      assert.include(whats(judge({ deliveries: [delivery(), delivery()] })), "two outcomes of one delivery")
      assert.include(
        whats(judge({ deliveries: [delivery(), delivery({ id: "dlv_2", attempts: 0 })] })),
        "two deliveries of one message to one subscription"
      )
    })

    it("attempts that are missing or numbered twice, and one after a success", () => {
      const wrong = "attempts are not numbered as they should be"
      assert.include(whats(judge({ deliveries: [delivery({ attempts: 2 })] })), wrong)
      assert.include(whats(judge({ deliveries: [delivery({ attempts: 2 })], attempts: [attempt(), attempt()] })), wrong)
      assert.include(
        whats(judge({
          deliveries: [delivery({ attempts: 2 })],
          attempts: [attempt(), attempt({ number: 2, startedAtMs: startedAtMs + 2000 })],
          requests: [request(), later]
        })),
        "the outcome is not that of the attempts"
      )
    })

    it("an attempt under an epoch that was superseded before it began", () => {
      const verdict = judge({
        owned: [{ workerGroup: "integration.chaos.event1", epoch: 2, seenAtMs: startedAtMs - 1000 }]
      })
      assert.deepStrictEqual(whats(verdict), ["recorded under an epoch that was superseded before it began"])
    })

    it("epochs that overlap, and two processes under one", () => {
      const two = {
        messages: [1, 2].map((n) => ({
          id: `msg_${n}`,
          eventId: "chaos.event1",
          key: `k${n}`,
          state: "routed" as const
        })),
        emissions: [1, 2].map((n) => ({
          key: `k${n}`,
          eventId: "chaos.event1",
          once: false,
          receipts: [`msg_${n}`],
          refusals: []
        })),
        deliveries: [1, 2].map((n) => delivery({ id: `dlv_${n}`, messageId: `msg_${n}` })),
        requests: [1, 2].map((n) =>
          request({ deliveryId: `dlv_${n}`, messageId: `msg_${n}`, key: `k${n}`, process: n === 1 ? "a1" : "b1" })
        )
      }
      const attempts = (epoch: number) => [attempt({ durationMs: 900 }), attempt({ deliveryId: "dlv_2", epoch })]
      assert.deepStrictEqual(whats(judge({ ...two, attempts: attempts(2) })), [
        "an epoch begins before the one before it has ended"
      ])
      assert.deepStrictEqual(whats(judge({ ...two, attempts: attempts(1) })), ["two processes under one epoch"])
    })

    it("what nobody emitted, what was emitted once and stored again, and what an emitter must not be told", () => {
      assert.include(whats(judge({ emissions: [] })), "stored, but never emitted")
      assert.include(
        whats(judge({
          messages: [1, 2].map((n) => ({ id: `msg_${n}`, eventId: "chaos.event1", key: "k", state: "routed" as const }))
        })),
        "emitted once, stored again"
      )
      const emission = { key: "k", eventId: "chaos.event1", once: false, receipts: [messageId], refusals: [] }
      assert.include(
        whats(judge({ emissions: [{ ...emission, receipts: [messageId, "msg_2"] }] })),
        "two messages for one key"
      )
      assert.include(
        whats(judge({ emissions: [{ ...emission, refusals: ["409"] }] })),
        "refused, but nothing is wrong with it"
      )
      assert.include(
        whats(judge({ emissions: [{ ...emission, receipts: [] }] })),
        "no receipt, though it was repeated until it had one"
      )
    })

    it("a message that is set aside or was never routed", () => {
      const messages = [{ id: messageId, eventId: "chaos.event1", key: "k", state: "set-aside" as const }]
      assert.include(whats(judge({ messages })), "stored, but not routed")
    })

    it("a request that belongs to no delivery, or to another", () => {
      assert.include(
        whats(judge({ requests: [request(), request({ deliveryId: "dlv_9" })] })),
        "a request without a delivery"
      )
      assert.include(
        whats(judge({ requests: [request({ receiver: "slow" })] })),
        "a request that is not of its delivery"
      )
    })
  })

  describe("of limits", () => {
    const paced = { ...subscription, rateLimit: { messages: 10, intervalMs: 1000, burst: 12 } }
    /** Deliveries whose only attempts begin at these times, after the first. */
    const begun = (limited: Subscription, times: ReadonlyArray<number>, over: Partial<Attempt> = {}) =>
      judge({
        subscriptions: [limited],
        owned: [],
        ...many(times.length, (n) => ({ startedAtMs: startedAtMs + (times[n] ?? 0), ...over }))
      })
    const tooFast = "more attempts began in a time than their rate limit lets begin"
    const tooMany = "more attempts were under way at once than their limit lets be"

    it("lets a burst begin, and the rate after it", () => {
      const sound = Array.from({ length: 40 }, (_, n) => n < 12 ? 0 : (n - 11) * 100)
      assert.deepStrictEqual(whats(begun(paced, sound)), [])
    })

    it("finds a second burst, also after a while at the rate", () => {
      assert.deepStrictEqual(whats(begun(paced, Array.from({ length: 24 }, () => 0))), [tooFast])
      const late = Array.from({ length: 60 }, (_, n) => n < 12 ? 0 : n < 48 ? (n - 11) * 100 : 3600)
      assert.deepStrictEqual(whats(begun(paced, late)), [tooFast])
    })

    it("finds a third attempt beside two, and not one that begins when another has ended", () => {
      const narrow = { ...subscription, maxConcurrency: 2 }
      assert.deepStrictEqual(whats(begun(narrow, [0, 0, 200], { durationMs: 200 })), [])
      assert.include(whats(begun(narrow, [0, 50, 100], { durationMs: 200 })), tooMany)
    })

    it("finds a third one under another epoch, but not where clocks may differ by as much", () => {
      const narrow = { ...subscription, maxConcurrency: 2 }
      const handedOver = (at: number) =>
        judge({
          subscriptions: [narrow],
          owned: [],
          ...many(3, (n) => ({ startedAtMs: startedAtMs + (n < 2 ? 0 : at), durationMs: 500, epoch: n < 2 ? 1 : 2 }))
        })
      assert.include(whats(handedOver(300)), tooMany)
      assert.deepStrictEqual(whats(handedOver(400)), [])
    })

    it("finds what a process had open beyond its limit, though no outcome is recorded", () => {
      const narrow = { ...subscription, maxConcurrency: 2 }
      const open = (process: string) => {
        const { attempts, deliveries, ...rest } = many(3, () => ({}))
        return judge({
          subscriptions: [narrow],
          owned: [],
          ...rest,
          attempts: attempts.map((one) => ({ ...one, startedAtMs: startedAtMs + 20_000, claims: 2 })),
          deliveries,
          requests: rest.requests.flatMap((one, n) => [
            { ...one, process: n < 2 ? "a1" : process, endedAtMs: one.atMs + 100 },
            request({
              ...one,
              sentAtSeconds: one.sentAtSeconds + 20,
              atMs: one.atMs + 20_000 + n,
              endedAtMs: undefined
            })
          ])
        })
      }
      const wrong = "a process had more requests open at once than their limit lets be"
      assert.include(whats(open("a1")), wrong)
      assert.notInclude(whats(open("b1")), wrong)
    })
  })

  describe("of circuits", () => {
    const mortal = { ...subscription, dies: true }
    const openUntilMs = startedAtMs + 5000
    const sight = (afterMs: number, work: Sight["work"] = []): Sight => ({
      subscriptionId: "sub_1",
      atMs: startedAtMs + afterMs,
      opens: 1,
      openUntilMs,
      work
    })
    const waiting = { id: deliveryId, attempts: 1, claimed: false }
    const wrong = "claimed while its circuit was open"
    /** A delivery that failed, waited, and was accepted so long after. */
    const tried = (afterMs: number, sights: ReadonlyArray<Sight>) =>
      judge({
        subscriptions: [mortal],
        sights,
        deliveries: [delivery({ attempts: 2 })],
        attempts: [
          attempt({ outcome: "retryable", statusCode: null }),
          attempt({ number: 2, startedAtMs: startedAtMs + afterMs })
        ],
        requests: [
          request({ status: undefined, full: false }),
          request({ sentAtSeconds: Math.floor((startedAtMs + afterMs) / 1000), atMs: startedAtMs + afterMs })
        ]
      })
    const spared = [0, 500, 1000, 1500, 3000, 4500].map((afterMs) => sight(afterMs, [waiting]))

    it("finds nothing where what is due again waits until the circuit is half-open", () => {
      assert.deepStrictEqual(whats(tried(5100, spared)), [])
    })

    it("finds an attempt that began while it was open", () => {
      assert.deepStrictEqual(whats(tried(2000, spared)), [wrong])
    })

    it("finds a claim of what is due again, and of what is new", () => {
      assert.deepStrictEqual(whats(tried(5100, [...spared, sight(4800, [{ ...waiting, claimed: true }])])), [wrong])
      const other = { id: "dlv_2", attempts: 0, claimed: true }
      assert.deepStrictEqual(whats(tried(5100, [...spared, sight(4800, [waiting, other])])), [wrong])
    })

    it("finds nothing in what was claimed before, nor in the first second, when not all can know", () => {
      const claimed = [0, 1000, 1500, 4500].map((afterMs) => sight(afterMs, [{ ...waiting, claimed: true }]))
      assert.deepStrictEqual(whats(tried(2000, claimed)), [])
      assert.deepStrictEqual(whats(tried(900, [sight(0, [waiting]), sight(600), sight(1200), sight(4500)])), [])
    })

    it("finds a circuit that is open in the end, and a delivery that was burnt", () => {
      assert.deepStrictEqual(whats(judge({ subscriptions: [mortal], unclosed: ["sub_1"] })), [
        "its circuit is not closed in the end"
      ])
      assert.deepStrictEqual(
        whats(judge({
          subscriptions: [mortal],
          deliveries: [delivery({ status: "failed", reason: "exhausted" })],
          attempts: [attempt({ outcome: "retryable", statusCode: null })],
          requests: [request({ status: undefined, full: false })]
        })),
        ["exhausted, though its endpoint was only dead for a while"]
      )
    })
  })

  describe("of dispatcher partitions", () => {
    const [base = "", , fourth = ""] = groupsOf({ eventId: "chaos.event1", key: "k" })
    const strange = "recorded under an epoch of a group that it is not of"

    it("knows the group by its epoch, and finds one that the message is not in", () => {
      const owned = (workerGroup: string) => judge({ owned: [{ workerGroup, epoch: 1, seenAtMs: startedAtMs }] })
      assert.deepStrictEqual(whats(owned(fourth)), [])
      const other = [0, 1, 2, 3].map((n) => `${base}#${n}.4`).find((name) => name !== fourth) ?? ""
      assert.deepStrictEqual(whats(owned(other)), [strange])
    })

    it("lets partitions have owners beside each other, and finds two of one", () => {
      const halves = ["k0", "k1", "k2", "k3"].map((key) => ({
        key,
        group: partitionOf({ eventId: "chaos.event1", key }, 2)
      }))
      const [first] = halves
      const same = halves.find(({ group, key }) => group === first?.group && key !== first.key)
      const apart = halves.find(({ group }) => group !== first?.group)
      const beside = (keys: ReadonlyArray<string | undefined>, owned: ReadonlyArray<string | undefined>) =>
        judge({
          ...many(2, (n) => ({ epoch: n + 1, durationMs: 900 }), (n) => keys[n] ?? ""),
          owned: owned.map((workerGroup = "", n) => ({ workerGroup, epoch: n + 1, seenAtMs: startedAtMs - 1000 + n }))
        })
      assert.deepStrictEqual(whats(beside([first?.key, apart?.key], [first?.group, apart?.group])), [])
      assert.include(
        whats(beside([first?.key, same?.key], [first?.group, same?.group])),
        "an epoch begins before the one before it has ended"
      )
    })

    it("knows the own group of a limited subscription", () => {
      const limited = { ...subscription, maxConcurrency: 2 }
      const owned = (workerGroup: string) =>
        whats(judge({ subscriptions: [limited], owned: [{ workerGroup, epoch: 1, seenAtMs: startedAtMs }] }))
      assert.deepStrictEqual(owned("subscription.sub_1"), [])
      assert.deepStrictEqual(owned(base), [strange])
    })
  })

  describe("of work queues", () => {
    const queue: Subscription = { id: "sub_1", receiver: "chaos.index", events: ["chaos.event1"] }
    const told = (over: Partial<Request> = {}) =>
      request({ receiver: "chaos.index", deliveryId: "", attempt: 1, ...over })
    const handled = (over: Partial<Evidence> = {}) =>
      judge({ subscriptions: [queue], attempts: [attempt({ statusCode: null })], requests: [told()], ...over })

    it("knows a handler's delivery by its message and its queue", () => {
      assert.deepStrictEqual(handled().findings, [])
      assert.strictEqual(handled().delivered, 1)
    })

    it("finds a message that one of two queues on a hook did not get", () => {
      const subscriptions = [queue, { ...queue, id: "sub_2", receiver: "chaos.audit" }]
      assert.strictEqual(handled({ subscriptions }).lost, 1)
    })

    it("finds a success that its receiver did not give", () => {
      const wrong = "an answer is recorded that its receiver did not give"
      assert.include(whats(handled({ requests: [told({ status: 500 })] })), wrong)
      assert.include(whats(handled({ requests: [told({ attempt: 2 })] })), wrong)
    })

    it("explains a handler that ran again by a claim without an outcome, and nothing else", () => {
      const twice = [told(), told({ process: "b1", atMs: startedAtMs + 3000, sentAtSeconds: 1003 })]
      const explained = handled({ attempts: [attempt({ statusCode: null, claims: 2 })], requests: twice })
      assert.deepStrictEqual(explained.findings, [])
      assert.strictEqual(explained.duplicates, 1)
      assert.strictEqual(handled({ requests: twice }).duplicatesUnexplained, 1)
    })

    it("finds a call of no delivery", () => {
      assert.include(
        whats(handled({ requests: [told(), told({ messageId: "msg_9" })] })),
        "a request without a delivery"
      )
    })
  })

  describe("of broadcasts", () => {
    const ids = [1, 2, 3].map((n) => `msg_${(startedAtMs + n * 1000).toString(16).padStart(12, "0")}${n}`)
    const [first = "", second = "", third = ""] = ids
    const life = { process: "a1", readyAtMs: startedAtMs, endsAtMs: undefined }
    const heard = (process: string, messages: ReadonlyArray<string>) =>
      messages.map((messageId, n) => ({
        process,
        messageId,
        hearing: `${process} ${n}`,
        atMs: startedAtMs + 5000 + n
      }))
    const broadcast = (over: Partial<Evidence> = {}) =>
      judge({
        broadcasts: ids.map((messageId, n) => ({ messageId, position: n + 1 })),
        hearings: heard("a1", ids),
        lives: [life],
        ...over
      })
    const missed = "not heard by a process that was up"

    it("finds nothing where each process hears all in order", () => {
      const lives = [life, { ...life, process: "b1" }]
      assert.deepStrictEqual(broadcast({ lives, hearings: [...heard("a1", ids), ...heard("b1", ids)] }).findings, [])
    })

    it("finds what is heard twice, in another order, or by nobody's telling", () => {
      assert.include(
        whats(broadcast({ hearings: heard("a1", [first, second, third, third]) })),
        "heard again by the same process"
      )
      assert.deepStrictEqual(whats(broadcast({ hearings: heard("a1", [second, first, third]) })), [
        "heard before what was routed earlier"
      ])
      assert.deepStrictEqual(whats(broadcast({ hearings: heard("a1", [...ids, "msg_9"]) })), [
        "heard, but never broadcast"
      ])
    })

    it("finds what a process did not hear that lived to the end, also of a gap, but not of what came before it", () => {
      assert.deepStrictEqual(whats(broadcast({ hearings: heard("a1", [first, second]) })), [missed])
      assert.deepStrictEqual(whats(broadcast({ hearings: heard("a1", [first, third]) })), [missed])
      const late = { ...life, readyAtMs: startedAtMs + 1500 }
      assert.deepStrictEqual(whats(broadcast({ lives: [late], hearings: heard("a1", [second, third]) })), [])
    })

    it("finds what an ended process did not hear long after another had, unless something held it up", () => {
      const ended = (afterMs: number, over: Partial<Evidence> = {}) =>
        whats(broadcast({
          lives: [life, { ...life, process: "b1", endsAtMs: startedAtMs + afterMs }],
          hearings: [...heard("a1", ids), ...heard("b1", [first])],
          ...over
        }))
      assert.deepStrictEqual(ended(10_000), [])
      assert.deepStrictEqual(ended(20_000), [missed])
      const hindrance = { process: "b1", fromMs: startedAtMs + 5000, untilMs: startedAtMs + 12_000 }
      assert.deepStrictEqual(ended(20_000, { hindrances: [hindrance] }), [])
      assert.deepStrictEqual(ended(20_000, { hindrances: [{ ...hindrance, process: "a1" }] }), [missed])
      assert.deepStrictEqual(ended(20_000, { hindrances: [{ ...hindrance, process: undefined }] }), [])
    })

    it("finds a routed message of the hot event without a place, and a gap between places", () => {
      const messages = [{ id: messageId, eventId: hotEvent, key: "k", state: "routed" as const }]
      assert.include(whats(judge({ messages })), "routed, but not broadcast")
      assert.include(
        whats(broadcast({ broadcasts: ids.map((messageId, n) => ({ messageId, position: 2 * n })) })),
        "broadcast with a gap before it, or at the place of another"
      )
    })
  })
})
