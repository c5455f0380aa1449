/**
 * Whether an answer is one that the contract allows to a request.
 */
import { may } from "../../../src/Access.ts"
import * as Undeclared from "../../../src/http/Undeclared.ts"
import { type Contract, resolve } from "./Contract.ts"
import type { Request } from "./Requests.ts"
import { isObject } from "./Values.ts"
import type { Answer } from "./Wire.ts"

/** What is wrong with an answer; undefined where nothing is. */
export const of = (contract: Contract, request: Request, answer: Answer): string | undefined =>
  answer.status >= 500
    ? `it is ${answer.status}`
    : answer.status >= 400
    ? problem(contract, request, answer)
    : answer.status >= 200 && answer.status < 300
    ? success(contract, request, answer)
    : `it is ${answer.status}`

// --- internal ---

/** The types of what no operation answers. */
const known: ReadonlySet<string> = new Set(
  Object.values(Undeclared).flatMap((kind) => typeof kind === "object" ? [Undeclared.typeOf(kind)] : [])
)

const json = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString("utf8"))
  } catch {
    return undefined
  }
}

const problem = (contract: Contract, { headOnly, isItsOwn, operation }: Request, { body, headers, status }: Answer) => {
  if (headers.get("content-type") !== "application/problem+json") {
    return `it is ${status} and no problem, but ${headers.get("content-type")}`
  }
  if (headOnly) return undefined
  const value = json(body)
  if (!isObject(value)) return "its problem is no JSON object"
  if (value["status"] !== status) return `it is ${status} and says ${JSON.stringify(value["status"])}`
  for (const name of ["title", "detail"]) if (typeof value[name] !== "string") return `its problem has no ${name}`
  const type = String(value["type"])
  if (!isItsOwn) return known.has(type) || contract.types.has(type) ? undefined : `there is no ${type}`
  const missing = headersMissing(operation, status, headers)
  if (missing !== undefined) return missing
  const types = operation.problems.get(status)
  if (types === undefined) return `${operation.id} is not said to answer ${status}`
  if (!types.includes(type)) return `${operation.id} is not said to answer ${type}`
  return undefined
}

const success = (contract: Contract, request: Request, { body, headers, status }: Answer) => {
  const { bearer, headOnly, isItsOwn, operation } = request
  if (isItsOwn && operation.scope !== undefined && !may(bearer, scopeOf(operation.scope))) {
    return `it is ${status} to ${bearer.name}, who may not ${operation.scope}`
  }
  if (bearer.authorization === undefined && !operation.isOpen) return `it is ${status} without a key`
  if (!isItsOwn || headOnly) return undefined
  const media = operation.answers.get(status)
  if (media === undefined) return `${operation.id} is not said to answer ${status}`
  if (media.size === 0) return body.length === 0 ? undefined : `${status} has a body`
  const missing = headersMissing(operation, status, headers)
  if (missing !== undefined) return missing
  const type = headers.get("content-type") ?? ""
  const schema = media.get(type)
  if (schema === undefined) return `${operation.id} is not said to answer ${type}`
  if (type !== "application/json") return undefined
  const value = json(body)
  const misfit = contract.misfit(schema, value)
  if (misfit !== undefined) return `its body does not fit: ${misfit} (${Object.keys(resolve(contract, schema)).join()})`
  if (bearer.tenantId !== undefined && others(value, bearer.tenantId)) return "it shows what is another tenant's"
  return undefined
}

/** Headers are as they are described; an ETag that is not described would not be known to be of use. */
const headersMissing = (
  { headers: described, id }: Request["operation"],
  status: number,
  headers: Answer["headers"]
) => {
  const names = described.get(status) ?? []
  const missing = names.find((name) => !headers.has(name.toLowerCase()))
  if (missing !== undefined) return `${id} answers ${status} without ${missing}`
  return headers.has("etag") && !names.includes("ETag")
    ? `${id} is not said to answer ${status} with an ETag`
    : undefined
}

const scopeOf = (scope: string) => scope === "read" || scope === "manage" || scope === "emit" ? scope : "admin"

/** Whether something of another tenant is in an answer; payloads and configurations are the emitter's own words. */
const others = (value: unknown, tenantId: string): boolean =>
  Array.isArray(value)
    ? value.some((item) => others(item, tenantId))
    : isObject(value) && Object.entries(value).some(([name, inner]) =>
      name === "tenantId"
        ? inner !== tenantId
        : !["payload", "config", "filter", "before", "after"].includes(name) && others(inner, tenantId)
    )
