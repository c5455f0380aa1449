/**
 * Which methods a path has, read from the contract, for requests whose method is none of them.
 */
import { Api } from "./Api.ts"

const routes: ReadonlyArray<{ readonly path: RegExp; readonly method: string }> = [
  ...Object.values(Api.groups).flatMap((group) => Object.values(group.endpoints)),
  { path: "/openapi.json", method: "GET" },
  { path: "/docs", method: "GET" },
  { path: "/health/live", method: "GET" },
  { path: "/health/ready", method: "GET" }
].map(({ method, path }) => ({
  method,
  path: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:\w+/gu, "[^/]+")}$`, "u")
}))

/**
 * The methods of a request's target, in the order of the alphabet; none where there is no such path.
 *
 * @category conversions
 * @since 0.1.0
 */
export const of = (target: string): ReadonlyArray<string> => {
  const path = target.split("?", 1)[0] ?? ""
  const found = routes.filter((route) => route.path.test(path)).map((route) => route.method)
  return [...new Set(found.includes("GET") ? [...found, "HEAD"] : found)].sort()
}
