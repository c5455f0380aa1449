/**
 * `hookline/postgres`: the storage on PostgreSQL, and an embedded PostgreSQL for development, demonstrations and tests.
 */
export * as EmbeddedPostgres from "./EmbeddedPostgres.ts"
export * as PgStorage from "./PgStorage.ts"
