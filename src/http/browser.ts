/**
 * `hookline/http` as a browser gets it: the contract and its client, without the server.
 */
export { Api } from "./Api.ts"
export * as Client from "./Client.ts"
export * as Problem from "./Problem.ts"
