/** Chains and queues do what arrays do, whatever comes in and leaves. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Chain, type Link } from "../src/Chain.ts"
import { Queue } from "../src/dispatcher/Queue.ts"

/** What is done, one after the other: numbers, of which each test reads its own deeds. */
const deeds = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 })))
  .check(Schema.isMaxLength(200))

describe("a chain", () => {
  it.prop("is in the order in which all came in that have not left", [deeds], ([all]) => {
    const chain = new Chain<number>()
    let links: Array<Link<number>> = []
    for (const deed of all) {
      const chosen = links[deed % Math.max(1, links.length)]
      if (deed % 5 < 3 || !chosen) links.push(chain.add(deed))
      else if (deed % 5 === 3) {
        assert.isTrue(chain.remove(chosen))
        assert.isFalse(chain.remove(chosen))
        links = links.filter((link) => link !== chosen)
      } else assert.strictEqual(chain.shift(), links.shift())
      assert.deepStrictEqual([...chain], links.map(({ value }) => value))
      assert.deepStrictEqual([chain.size, chain.first], [links.length, links[0]?.value])
    }
  })

  it("takes no place of another, and lets one go with nothing that came after it", () => {
    const one = new Chain<string>()
    const other = new Chain<string>()
    const first = one.add("first")
    const second = one.add("second")
    assert.isFalse(other.remove(first))
    assert.isTrue(one.remove(first))
    assert.isUndefined(first.after)
    other.append(first)
    assert.deepStrictEqual([[...one], [...other]], [["second"], ["first"]])
    assert.isTrue(one.remove(second))
    assert.isUndefined(one.shift())
  })
})

describe("a queue", () => {
  it.prop("gives what came in first, also when very much has gone through it", [deeds], ([all]) => {
    const queue = new Queue<number>()
    let items: Array<number> = []
    for (const deed of all) {
      // Many at once, so that empty places are given up.
      if (deed % 3 === 0) {
        for (let n = 0; n < deed; n++) {
          queue.push(n)
          items.push(n)
        }
      } else if (deed % 3 === 1) {
        for (let n = 0; n < deed; n++) assert.strictEqual(queue.shift(), items.shift())
      } else {
        const kept = deed % 50
        assert.deepStrictEqual(queue.splice(kept), items.slice(kept))
        items = items.slice(0, kept)
      }
      assert.deepStrictEqual([queue.length, queue.first], [items.length, items[0]])
    }
  })
})
