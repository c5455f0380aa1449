/**
 * Statements whose texts are put together once. The driver makes a statement's text anew each time, of a hundred pieces, and keeps
 * text and parameters in a weak map, where they outlive a collection of new memory. A text depends on the templates that it
 * consists of alone, so here it is looked up by these, and only the parameters are gathered.
 */
import type { PgClient } from "@effect/sql-pg"
import { Statement } from "effect/sql"

/**
 * A client like the given one, whose templates have their texts from a table. What is more in them than parameters, literals and
 * other templates of the same client is left to the driver.
 *
 * **Gotchas**
 *
 * A literal is a part of the text. The table holds so many steps through templates and literals, and begins anew when it is full.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (client: PgClient.PgClient, steps: number): PgClient.PgClient => {
  let root: Place = { next: new Map(), text: undefined }
  let taken = 0

  const next = (from: Place, by: object | string): Place => {
    const found = from.next.get(by)
    if (found) return found
    const made: Place = { next: new Map(), text: undefined }
    from.next.set(by, made)
    taken++
    return made
  }

  /** The place to which a template leads, whose parameters are noted; none where it has parts of another kind. */
  const through = (from: Place, { args, strings }: Template, parameters: Array<unknown>): Place | undefined => {
    let at: Place | undefined = next(from, strings)
    for (const arg of args) {
      if (at === undefined) return undefined
      if (isTemplate(arg)) at = through(at, arg[template], parameters)
      else if (Statement.isFragment(arg)) at = throughLiterals(at, arg.segments)
      else if (typeof arg === "object" && arg !== null && "_tag" in arg) return undefined
      else {
        parameters.push(arg)
        at = next(at, parameter)
      }
    }
    return at
  }

  const throughLiterals = (from: Place, segments: ReadonlyArray<Statement.Segment>): Place | undefined => {
    let at = from
    for (const segment of segments) {
      if (segment._tag !== "Literal" || segment.params !== undefined) return undefined
      at = next(at, segment.value)
    }
    return at
  }

  /** The same as the driver would make it. */
  const plain = ({ args, strings }: Template): Statement.Statement<object> =>
    client(strings, ...args.map((arg) => isTemplate(arg) ? plain(arg[template]) : arg))

  const prototype = Object.create(client.unsafe(""), {
    segments: {
      get(this: Made) {
        return plain(this[template]).segments
      }
    },
    compile: {
      value(this: Made, withoutTransform?: boolean) {
        if (taken > steps) {
          root = { next: new Map(), text: undefined }
          taken = 0
        }
        const parameters: Array<unknown> = []
        const place = through(root, this[template], parameters)
        if (place === undefined) return plain(this[template]).compile(withoutTransform)
        place.text ??= plain(this[template]).compile(withoutTransform)[0]
        return [place.text, parameters]
      }
    }
  })

  function sql(text: string): Statement.Identifier
  function sql<A extends object>(strings: TemplateStringsArray, ...args: ReadonlyArray<unknown>): Statement.Statement<A>
  function sql(strings: TemplateStringsArray | string, ...args: ReadonlyArray<unknown>) {
    return typeof strings === "string"
      ? client(strings)
      : Object.assign(Object.create(prototype), { [template]: { strings, args } })
  }
  return Object.assign(sql, client)
}

// --- internal ---

/** What was found on the way through templates and literals, and the text of a statement that ends here. */
interface Place {
  readonly next: Map<object | string, Place>
  text: string | undefined
}

const template: unique symbol = Symbol("hookline/storage/PgTexts/template")

interface Template {
  readonly strings: TemplateStringsArray
  readonly args: ReadonlyArray<unknown>
}

interface Made {
  readonly [template]: Template
}

/** Stands for any parameter: a template in the same place makes another text. */
const parameter = {}

const isTemplate = (arg: unknown): arg is Made => typeof arg === "object" && arg !== null && template in arg
