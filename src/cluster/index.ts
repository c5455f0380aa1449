/**
 * `hookline/cluster`: a cluster of many processes over PostgreSQL and sockets.
 */
export { ClusterRefused } from "./Agreement.ts"
export * as SocketCluster from "./SocketCluster.ts"
