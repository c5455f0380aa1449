/**
 * The contract of the HTTP API, from which come the server, the client and `openapi.json`. Nothing in it needs Node.
 */
import { HttpApi, OpenApi } from "effect/http-api"
import { version } from "../Version.ts"
import { AuditGroup } from "./AuditApi.ts"
import { Auth } from "./Bearer.ts"
import { ClusterGroup } from "./ClusterApi.ts"
import { ConnectionsGroup } from "./ConnectionsApi.ts"
import { Deliveries } from "./DeliveriesApi.ts"
import { Events } from "./EventsApi.ts"
import { KeysGroup } from "./KeysApi.ts"
import { Messages } from "./MessagesApi.ts"
import { MetricsGroup } from "./MetricsApi.ts"
import { PluginsGroup, ProvidersGroup } from "./PluginsApi.ts"
import { Problems } from "./Problem.ts"
import { ReplaysGroup } from "./ReplaysApi.ts"
import { RetentionGroup } from "./RetentionApi.ts"
import { LoginGroup, SessionGroup } from "./SessionApi.ts"
import { StatsGroup } from "./StatsApi.ts"
import { StreamGroup } from "./StreamApi.ts"
import { SubscriptionsGroup } from "./SubscriptionsApi.ts"

/**
 * The whole API.
 *
 * @category api
 * @since 0.1.0
 */
export class Api extends HttpApi.make("hookline")
  .add(Events)
  .add(Messages)
  .add(SubscriptionsGroup)
  .add(ConnectionsGroup)
  .add(Deliveries)
  .add(ReplaysGroup)
  .add(PluginsGroup)
  .add(ProvidersGroup)
  .add(StreamGroup)
  .add(ClusterGroup)
  .add(KeysGroup)
  .add(AuditGroup)
  .add(SessionGroup)
  .add(StatsGroup)
  .add(RetentionGroup)
  .prefix("/api/v1")
  .add(MetricsGroup)
  .middleware(Problems)
  .middleware(Auth)
  // Begun by whoever has no session yet.
  .add(LoginGroup.prefix("/api/v1"))
  .annotateMerge(OpenApi.annotations({
    title: "Hookline",
    version,
    summary: "Durable integration events, delivered.",
    description:
      "Emit events, subscribe webhooks and other systems to them, and see what became of each. Errors are problem " +
      "details (RFC 9457) with a stable `type`; lists are read page by page; times are ISO 8601 in UTC; durations carry their " +
      "unit in the name. The guide is docs/api.md."
  }))
{}
