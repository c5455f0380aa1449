/**
 * `hookline/testing`: what proves that a backend keeps the contract. Needs `@effect/vitest`.
 */
export * as StorageModel from "./StorageModel.ts"
export * as StorageSuite from "./StorageSuite.ts"
