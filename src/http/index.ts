/**
 * `hookline/http`: the HTTP side.
 */
export { Api } from "./Api.ts"
export * as Auth from "./Auth.ts"
export * as Client from "./Client.ts"
export * as Problem from "./Problem.ts"
export * as Server from "./Server.ts"
