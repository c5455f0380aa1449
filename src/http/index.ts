/**
 * `hookline/http`: the HTTP side.
 */
export { Api } from "./Api.ts"
export * as Auth from "./Auth.ts"
export * as Server from "./Server.ts"
