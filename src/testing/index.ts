/**
 * `hookline/testing`: what a program's own tests need, and what proves that a backend or a provider keeps its contract.
 * Needs `@effect/vitest`.
 */
export * as Arbitraries from "./Arbitraries.ts"
export * as Deliveries from "./Deliveries.ts"
export * as EgressFake from "./EgressFake.ts"
export * as Endpoints from "./Endpoints.ts"
export * as Faults from "./Faults.ts"
export * as HooklineTest from "./HooklineTest.ts"
export * as ProviderSuite from "./ProviderSuite.ts"
export * as Requests from "./Requests.ts"
export * as StorageModel from "./StorageModel.ts"
export * as StorageSuite from "./StorageSuite.ts"
