/**
 * `hookline/postgres`: the storage on PostgreSQL.
 */
export * as PgStorage from "./PgStorage.ts"
