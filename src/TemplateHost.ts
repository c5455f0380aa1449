/**
 * Whether a URL's template says itself which host it goes to, whichever of its branches is taken: only then may values be
 * taken for parts of a path or a query.
 */
import { CaptureTag, CaseTag, ForTag, IfTag, LiquidTag, RawTag, toValueSync, TypeGuards, UnlessTag } from "liquidjs"
import type { Template } from "liquidjs"

/**
 * Whether, in every branch, the template's own text before the first value holds the whole scheme and host, with the `/`,
 * `?` or `#` behind it. What is not understood counts as a value.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFixed = (nodes: ReadonlyArray<Template>): boolean => through(nodes, new Set([""])) !== undefined

// --- internal ---

/**
 * How a URL may have begun whose host does not end yet. None: it ended in every branch, so what follows can't change it.
 * Beginnings that can only go on alike are one, so that there are few of them however many branches there are.
 */
type Begun = ReadonlySet<string>

/** Beginnings after some nodes; `undefined` where a value may follow on a host that did not end. */
const through = (nodes: ReadonlyArray<Template>, begun: Begun): Begun | undefined => {
  let now: Begun | undefined = begun
  for (const node of nodes) {
    if (now === undefined || now.size === 0) return now
    now = past(node, now)
  }
  return now
}

const past = (node: Template, begun: Begun): Begun | undefined => {
  if (TypeGuards.isHTMLToken(node.token)) return written(begun, node.token.getContent())
  if (node instanceof RawTag) return written(begun, node.render())
  if (node instanceof IfTag || node instanceof UnlessTag) {
    const branches = [...node.branches.map(({ templates }) => templates), node.elseTemplates ?? []]
    return either(branches.map((nodes) => through(nodes, begun)))
  }
  if (node instanceof CaseTag) {
    // Every branch that has the value is written, not the first alone.
    let hit: Begun | undefined = new Set<string>()
    for (const { templates } of node.branches) {
      const before = either([begun, hit])
      hit = before && either([hit, through(templates, before)])
    }
    return either([hit, through(node.elseTemplates, begun)])
  }
  if (node instanceof ForTag) {
    const turn = through(node.templates, begun)
    // Each turn begins where the last one ended, so what is true of one must be true of the next.
    if (turn && ![...turn].every((text) => begun.has(text))) return undefined
    return either([begun, turn, through(node.elseTemplates, begun)])
  }
  if (node instanceof LiquidTag) return through(node.templates, begun)
  if (node instanceof CaptureTag) return jumps(node) ? undefined : begun
  return silent.has(nameOf(node)) ? begun : undefined
}

/** Tags that write nothing and leave out nothing of what follows. */
const silent = new Set(["#", "assign", "comment"])

const nameOf = (node: Template): string => TypeGuards.isTagToken(node.token) ? node.token.name : ""

/** Whether text that follows may be left out. */
const jumps = (node: Template): boolean =>
  /^(break|continue)$/u.test(nameOf(node)) || (node.children ? toValueSync(node.children(false, true)) : []).some(jumps)

const either = (branches: ReadonlyArray<Begun | undefined>): Begun | undefined => {
  const all = new Set<string>()
  for (const branch of branches) {
    if (branch === undefined) return undefined
    for (const text of branch) all.add(text)
  }
  return all
}

const written = (begun: Begun, text: string): Begun =>
  new Set([...begun].map((before) => beginning(before + text)).filter((after) => after !== ended))

const ended = "ended"

/** What a text that begins a URL comes to. Like a URL's reader it drops tabs and line breaks, and takes \ for /. */
const beginning = (text: string): string => {
  const url = text.replace(/[\t\n\r]/gu, "").trimStart()
  if (/^https?:\/\/[^/?#\\]+[/?#\\]/iu.test(url)) return ended
  if (/^https?:\/\/[^/?#\\]+$/iu.test(url)) return "https://host"
  const scheme = url.toLowerCase()
  return "http://".startsWith(scheme) || "https://".startsWith(scheme) ? scheme : "never"
}
