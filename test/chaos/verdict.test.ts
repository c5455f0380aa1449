import { assert, describe, it } from "@effect/vitest"
import type { Request } from "./Receivers.ts"
import * as Verdict from "./Verdict.ts"

const messageId = "msg_1"
const deliveryId = "dlv_1"
const startedAtMs = 1_000_200

const subscription: Verdict.Subscription = { id: "sub_1", receiver: "well", events: ["chaos.*"] }

const attempt = (over: Partial<Verdict.Attempt> = {}): Verdict.Attempt => ({
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
  eventId: "chaos.event0",
  process: "a1",
  sentAtSeconds: Math.floor(startedAtMs / 1000),
  atMs: startedAtMs + 5,
  key: "k",
  status: 204,
  full: true,
  ...over
})

const delivery = (over: Partial<Verdict.Delivery> = {}): Verdict.Delivery => ({
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
const judge = (over: Partial<Verdict.Evidence> = {}): Verdict.Verdict =>
  Verdict.make({
    emissions: [{ key: "k", eventId: "chaos.event0", once: false, receipts: [messageId], refusals: [] }],
    subscriptions: [subscription],
    messages: [{ id: messageId, eventId: "chaos.event0", key: "k", state: "routed" }],
    deliveries: [delivery()],
    attempts: [attempt()],
    requests: [request()],
    owned: [{ workerGroup: "integration.chaos.event0", epoch: 1, seenAtMs: startedAtMs }],
    ...over
  })

const whats = ({ findings }: Verdict.Verdict) => findings.map(({ what }) => what)

/** A timeout, and the success after it. */
const timedOut = [
  attempt({ outcome: "timeout", statusCode: null, durationMs: 1000 }),
  attempt({ number: 2, startedAtMs: startedAtMs + 2000 })
]
const later = request({ sentAtSeconds: 1002, atMs: startedAtMs + 2005 })

describe("the verdict of chaos", () => {
  it("finds nothing where all agree", () => {
    const { findings, outcomes, ...counts } = judge()
    assert.deepStrictEqual(findings, [])
    assert.deepStrictEqual(outcomes, { success: 1 })
    assert.deepStrictEqual(counts, { emitted: 1, delivered: 1, lost: 0, duplicates: 0, duplicatesUnexplained: 0 })
  })

  it("finds what an ordered subscription got before what was emitted earlier", () => {
    const [first, second] = [
      { id: "msg_1", key: "a-1", deliveryId: "dlv_1" },
      { id: "msg_2", key: "a-2", deliveryId: "dlv_2" }
    ] as const
    const told = (order: ReadonlyArray<typeof first | typeof second>) =>
      judge({
        subscriptions: [{ ...subscription, events: ["chaos.event0"], ordered: true }],
        emissions: [first, second].map(({ id, key }) => ({
          key,
          eventId: "chaos.event0",
          once: false,
          receipts: [id],
          refusals: []
        })),
        messages: [first, second].map(({ id, key }) => ({ id, eventId: "chaos.event0", key, state: "routed" })),
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
      const emissions = [{ key: "k", eventId: "chaos.event0", once: true, receipts: [], refusals: [] }]
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
      const attempts: ReadonlyArray<Verdict.Attempt> = []
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
        owned: [{ workerGroup: "integration.chaos.event0", epoch: 2, seenAtMs: startedAtMs - 1000 }]
      })
      assert.deepStrictEqual(whats(verdict), ["recorded under an epoch that was superseded before it began"])
    })

    it("epochs that overlap, and two processes under one", () => {
      const two = {
        messages: [1, 2].map((n) => ({
          id: `msg_${n}`,
          eventId: "chaos.event0",
          key: `k${n}`,
          state: "routed" as const
        })),
        emissions: [1, 2].map((n) => ({
          key: `k${n}`,
          eventId: "chaos.event0",
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
          messages: [1, 2].map((n) => ({ id: `msg_${n}`, eventId: "chaos.event0", key: "k", state: "routed" as const }))
        })),
        "emitted once, stored again"
      )
      const emission = { key: "k", eventId: "chaos.event0", once: false, receipts: [messageId], refusals: [] }
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
      const messages = [{ id: messageId, eventId: "chaos.event0", key: "k", state: "set-aside" as const }]
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
})
