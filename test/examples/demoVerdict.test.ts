/**
 * The demo's verdict: a demonstration that could not fail would prove nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Verdict from "../../examples/demo/Verdict.ts"

const request = (messageId: string, title: string, accepted: boolean) => ({
  messageId,
  title,
  verified: true,
  accepted,
  atMs: 0
})

const flaky: Verdict.Witness = {
  name: "flaky",
  expected: "success",
  seen: [request("1", "a", false), request("2", "b", false), request("1", "a", true), request("2", "b", true)],
  deliveries: [
    { messageId: "1", status: "success", outcomes: ["retryable", "success"] },
    { messageId: "2", status: "success", outcomes: ["retryable", "success"] }
  ]
}

const hanging: Verdict.Witness = {
  name: "hanging",
  expected: "failed",
  // The other request timed out before it arrived, which is no fault.
  seen: [request("1", "a", false)],
  deliveries: [
    { messageId: "1", status: "failed", outcomes: ["timeout"] },
    { messageId: "2", status: "failed", outcomes: ["timeout"] }
  ]
}

const story: Verdict.Evidence = {
  plan: { incidents: 3, rolledBack: 1 },
  told: new Map([["a", "committed"], ["b", "committed"], ["c", "rolled back"]]),
  messages: [{ id: "1", title: "a" }, { id: "2", title: "b" }],
  witnesses: [flaky, hanging]
}

const findings = (change: Partial<Verdict.Evidence>) =>
  Verdict.findings({ ...story, ...change }).map(({ of, what }) => `${what}: ${of.join(", ")}`)

const ofFlaky = (change: Partial<Verdict.Witness>) => findings({ witnesses: [{ ...flaky, ...change }, hanging] })

const ofHanging = (change: Partial<Verdict.Witness>) => findings({ witnesses: [flaky, { ...hanging, ...change }] })

describe("the demo's verdict", () => {
  it("has nothing to say where emitters, log and receivers agree", () => {
    assert.deepStrictEqual(findings({}), [])
  })

  it("sees that the transactions did not go as planned", () => {
    assert.deepStrictEqual(findings({ plan: { incidents: 3, rolledBack: 2 } }), [
      "not what was planned: 3 incidents, 1 rolled back"
    ])
    assert.include(findings({ told: new Map() }), "not what was planned: 0 incidents, 0 rolled back")
  })

  it("sees a message that was lost before it was stored, routed or sent", () => {
    assert.include(findings({ messages: [{ id: "1", title: "a" }] }), "lost: committed, but not stored: b")
    assert.deepStrictEqual(ofHanging({ deliveries: hanging.deliveries.slice(0, 1) }), [
      "hanging: lost: stored, but no delivery: 2"
    ])
    assert.deepStrictEqual(ofFlaky({ seen: flaky.seen.slice(0, 3) }), [
      "flaky: lost: the log says accepted, the receiver does not: 2"
    ])
  })

  it("sees a delivery that is not final, or ended otherwise than it has to", () => {
    const retrying = { messageId: "2", status: "retrying", outcomes: ["retryable"] } as const
    assert.deepStrictEqual(ofHanging({ deliveries: [...hanging.deliveries.slice(0, 1), retrying] }), [
      "hanging: lost: the delivery did not end as failed: 2"
    ])
    const crashed = { messageId: "2", status: "failed", outcomes: [] } as const
    assert.deepStrictEqual(ofHanging({ deliveries: [...hanging.deliveries.slice(0, 1), crashed] }), [
      "hanging: failed, but not by timeouts alone: 2"
    ])
  })

  it("sees a message that was doubled: stored twice, delivered twice, or sent again after it was accepted", () => {
    const again = { id: "3", title: "b" }
    assert.include(findings({ messages: [...story.messages, again] }), "doubled: emitted once, stored again: b")
    assert.deepStrictEqual(ofHanging({ deliveries: [...hanging.deliveries, ...hanging.deliveries.slice(1)] }), [
      "hanging: doubled: two deliveries of a message: 2"
    ])
    assert.deepStrictEqual(ofFlaky({ seen: [...flaky.seen, request("2", "b", true)] }), [
      "flaky: doubled: seen again after it was accepted: 2",
      "flaky: seen more often than the log has attempts: 2"
    ])
  })

  it("sees an acceptance or an attempt of which the log knows nothing", () => {
    assert.include(
      ofHanging({ seen: [request("1", "a", true)] }),
      "hanging: the receiver accepted it, the log does not say so: 1"
    )
    assert.deepStrictEqual(ofHanging({ seen: [request("1", "a", false), request("1", "a", false)] }), [
      "hanging: seen more often than the log has attempts: 1"
    ])
  })

  it("sees a success that the log has twice, or that another attempt came after", () => {
    for (
      const outcomes of [[], ["success", "success"], ["success", "retryable"], ["retryable", "retryable"]] as const
    ) {
      const again = { messageId: "2", status: "success", outcomes } as const
      assert.include(
        ofFlaky({ deliveries: [...flaky.deliveries.slice(0, 1), again] }),
        "flaky: succeeded, but not by its last attempt alone: 2"
      )
    }
  })

  it("sees a request without a signature that verifies", () => {
    assert.deepStrictEqual(ofHanging({ seen: [{ ...request("1", "a", false), verified: false }] }), [
      "hanging: unsigned, or with a signature that does not verify: 1"
    ])
  })

  it("sees a message that was rolled back, never emitted or changed on its way", () => {
    assert.include(
      findings({ messages: [...story.messages, { id: "3", title: "c" }] }),
      "rolled back, but stored: c"
    )
    assert.deepStrictEqual(
      ofHanging({ deliveries: [...hanging.deliveries, { messageId: "3", status: "failed", outcomes: ["timeout"] }] }),
      [
        "hanging: a delivery of what was not stored: 3"
      ]
    )
    assert.include(
      findings({ messages: [...story.messages, { id: "3", title: "?" }] }),
      "stored, but never emitted: ?"
    )
    assert.include(
      ofHanging({ seen: [...hanging.seen, request("3", "c", false)] }),
      "hanging: rolled back, but received: c"
    )
    assert.deepStrictEqual(ofHanging({ seen: [request("1", "b", false)] }), [
      "hanging: received, but not what was stored: 1"
    ])
    assert.include(
      ofHanging({ seen: [...hanging.seen, { ...request("3", "", false), title: undefined }] }),
      "hanging: received, but not what was stored: 3"
    )
  })
})
