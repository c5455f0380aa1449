/**
 * Every limit of Hookline with its unit and its default, in one place: sizes in bytes, times in milliseconds, counts.
 * `Limits` is a reference, so a program overrides what it needs with `Limits.layer({ … })` and tests shrink them.
 */
import { Context, Layer } from "effect"

/**
 * The limits' defaults.
 *
 * @category models
 * @since 0.1.0
 */
export const defaults = {
  // -- emitting
  /** Size of one encoded payload; the HTTP API's request bodies have the same bound. */
  payloadBytes: 1024 * 1024,
  /** Emits outside a transaction that share one commit. */
  groupCommitMessages: 256,
  /** How long an emit may wait for the database before it fails with `StorageUnavailable`. */
  emitTimeoutMs: 10_000,
  /** For how long a repeated idempotency key returns the first message. */
  idempotencyTtlMs: 24 * 60 * 60 * 1000,
  /** Length of an idempotency key or an ordering key. */
  keyLength: 256,
  /** How far ahead a message may be delivered, and expire. */
  deliverAheadMs: 30 * 24 * 60 * 60 * 1000,
  expireAheadMs: 60 * 24 * 60 * 60 * 1000,
  /** Messages a hook's local channel holds for its slowest listener, unless the hook says otherwise. */
  channelCapacity: 1024,

  /** Messages of one batch, and bytes of its request's body. */
  batchMessages: 1000,
  batchBytes: 8 * 1024 * 1024,

  // -- retrying
  /** Attempts of one delivery that are ever made and remembered. */
  attemptsPerDelivery: 100,
  /** The longest `Retry-After` that is honoured. */
  retryAfterCapMs: 24 * 60 * 60 * 1000,
  /** Age at which a delivery held by a disabled subscription fails with reason `expired`. */
  heldMaxAgeMs: 7 * 24 * 60 * 60 * 1000,
  /** Delays in a `delays` retry schedule. */
  retryDelays: 99,
  /** The longest single delay a retry schedule may ask for. */
  retryDelayMs: 7 * 24 * 60 * 60 * 1000,

  // -- dispatching, per runner
  /** Messages routed by one statement. */
  routeMessages: 512,
  /** How long messages wait to be routed at most because the lanes that their event feeds are full, or all that is in memory. */
  routeHoldMs: 1000,
  routeHoldFullMs: 10_000,
  /** Lanes that one event may feed and still wait for room in them: with more, looking costs more than it saves. */
  routeHoldLanes: 64,
  /** Bytes of payload read by one routing batch, beyond its first message. */
  routeBytes: 8 * 1024 * 1024,
  /**
   * Messages that a process has stored and routes itself without reading them, and the length of their payloads together: what is more
   * is read.
   */
  handedMessages: 2048,
  handedLength: 4 * 1024 * 1024,
  /** Deliveries inserted by one routing statement; a message with more subscriptions is routed alone. */
  routeDeliveries: 20_000,
  /** Deliveries claimed by one statement. */
  claimDeliveries: 1000,
  /** Lanes asked for by one claim. */
  claimLanes: 1000,
  /**
   * How long a message's deliveries may be under way before its routing is written, how long they may wait for that together with it, how
   * many messages of a runner may be so at once, as what is read passes them, and to how many a message may go whose routing is not written
   * at once, while the first are sent. It does where the endpoint of each has accepted something so short a time before.
   */
  expressMs: 500,
  expressWaitMs: 2000,
  expressMessages: 4096,
  expressDeliveries: 100,
  expressAcceptedMs: 10_000,
  /** Outcomes recorded by one statement. */
  recordOutcomes: 1000,
  /** How long an outcome waits for others to be recorded with it, while at least so many attempts are in flight. */
  recordGatherMs: 40,
  recordGatherInFlight: 16,
  /** Attempts in flight on a runner. */
  slots: 1024,
  /** Further attempts in flight, of lanes that have no other. */
  firstSlots: 256,
  /** Attempts in flight of one subscription on a runner. */
  laneSlots: 64,
  /** Deliveries of one subscription in memory, waiting or in flight. */
  laneWindow: 1024,
  /** Deliveries in memory on a runner, waiting or in flight. */
  window: 16384,
  /** Payload bytes in memory on a runner, beyond one payload. */
  windowBytes: 64 * 1024 * 1024,
  /** Share of the window that the lanes of one tenant may hold together. */
  tenantShare: 0.9,
  /** How soon a tenant that has its share of the window is looked at again. */
  shortPollMs: 20,
  /** Tenants whose messages one routing batch takes in turn. */
  routeTenants: 64,
  /** A runner lets a millisecond pass between two looks at all of its lanes for each so many of them. */
  lanesPerMs: 250,
  /** Share of the slots that lanes may hold together whose endpoints are slow or timed out last. */
  slowShare: 0.5,
  /** The longest an attempt may take, whatever its provider allows it. */
  attemptTimeoutMs: 10 * 60_000,
  /** An attempt in flight for longer makes its lane count as slow. */
  slowAfterMs: 1000,
  /** Claims of one delivery without an outcome after which its next claim is a suspect's, alone on its runner. */
  suspectClaims: 2,
  /** Claims of one delivery without an outcome after which it fails with reason `crashed-owner`. */
  crashedClaims: 3,
  /** Dispatcher partitions of one event, at most. */
  partitions: 64,
  /** Worker groups one runner holds at once. */
  residentGroups: 100_000,
  /** How long a group stays with nothing due before its dispatcher passivates. */
  groupIdleMs: 30_000,
  /** The sweep's interval, and how far ahead of now it looks for work. */
  sweepIntervalMs: 1000,
  sweepAheadMs: 2000,
  /** How often a runner looks for claims of its own that it does not hold. */
  takeUpIntervalMs: 30_000,

  /** Attempts of one subscription that may be under way at once, at most, where it has a limit of its own. */
  maxConcurrency: 1000,
  /** How far ahead deliveries of a rate-limited subscription are claimed. */
  rateAheadMs: 1000,
  /** Due deliveries of an ordered lane that one claim looks at, for each that it may take. */
  orderedLook: 4,
  /** How soon a delivery is looked at again that waits for a message of its key to be routed. */
  orderedPollMs: 100,
  /** How often a runner looks for what waits for an earlier delivery that has ended, and recovers claims the sweep found. */
  unparkIntervalMs: 1000,
  /** Keys of which something is parked that one look goes through; the next goes on behind them. */
  unparkKeys: 10_000,
  /** Deliveries behind a blocked one that are counted. */
  blockedCounted: 1000,

  // -- replaying
  /** Deliveries that one portion of a replay makes again, and those that it looks at to find them. */
  replayRows: 500,
  replayLook: 5000,
  /** How long a replay waits after a portion, whichever runner works it. */
  replayIntervalMs: 500,
  /** Deliveries of a replay that wait for their first attempt, at which it takes no more: endpoints set its pace. */
  replayWaiting: 1000,
  /** How often a runner looks for replays that others left. */
  replayPollMs: 5000,
  /** Deliveries that a dry run looks at; what there is beyond them is told as "at least". */
  replayCounted: 100_000,
  /** Replays of one tenant that are running or paused. */
  replaysPerTenant: 20,
  /** How long replays are kept that were completed or cancelled. */
  replaysKeptMs: 90 * 24 * 60 * 60 * 1000,

  // -- circuits
  /** Failures in a row, over at least so long, after which a circuit opens. */
  circuitFailures: 10,
  circuitFailingMs: 1000,
  /** Or the share of failures among at least so many attempts within a time. */
  circuitFailedShare: 0.8,
  circuitSampleAttempts: 50,
  circuitSampleMs: 30_000,
  /** How long a circuit stays open at first, and at most; each time its probe fails, twice as long. */
  circuitOpenMs: 5000,
  circuitOpenCapMs: 5 * 60_000,
  /** How long nothing of a subscription is accepted before its people are warned, and before it is disabled. */
  failingWarnMs: 24 * 60 * 60 * 1000,
  failingDisableMs: 5 * 24 * 60 * 60 * 1000,

  // -- ownership
  /** How long a runner may begin attempts after it sent the last renewal that succeeded. */
  leaseMs: 2000,
  leaseRenewMs: 1000,
  /** How long a stopping runner waits for the attempts in flight before it aborts them. */
  drainTimeoutMs: 5000,
  /** How long a take-over waits for the previous owner's statement before it ends that session. */
  takeOverPatienceMs: 2000,
  /** How long a disable waits for an owner to confirm that it dropped its un-begun claims. */
  confirmTimeoutMs: 1000,
  /** Time the server gives one statement, and a reader waits for its answer. */
  statementTimeoutMs: 30_000,
  /** Time the engine waits for a statement's answer before it counts as lost. */
  answerTimeoutMs: 10_000,
  /** Steps through the templates of statements that are remembered with the texts that they make up. */
  statementSteps: 5000,
  /** Connections to the database of a process's engine, those of its administration, of its long lists and of its upkeep. */
  engineConnections: 8,
  adminConnections: 4,
  listConnections: 2,
  upkeepConnections: 1,

  // -- migrating
  /** How long a migration waits for a lock: less than `leaseMs`, as runners' statements wait behind it. */
  migrationLockMs: 1500,
  /** How long it takes with all the locks of a statement, those of a table and of each of its partitions. */
  migrationStatementMs: 5000,
  /** How long it lets them through before it tries again, and after how long it gives up. */
  migrationLockPauseMs: 2000,
  migrationLockTotalMs: 5 * 60_000,
  /** How often a process looks whether another one that migrates is done. */
  migrationPollMs: 200,

  // -- broadcast
  /** How often a process looks for what was broadcast. */
  broadcastPollMs: 200,
  /** How many messages a handler is given at once. */
  broadcastMessages: 100,
  /** How long a message is kept for those who could not hear it, and a group is listened to for. */
  broadcastKeptMs: 60 * 60_000,

  // -- the cluster
  /** Shards that the worker groups are spread over; the same for all processes of a cluster. */
  shards: 300,
  /** For how long a silent runner keeps its shards: longer than a machine may stall; the same for all processes. */
  lockExpiryMs: 4000,
  /** How often a runner says that it is alive and confirms its shards, and how long that may take: a third of the expiry. */
  lockRefreshMs: 1300,
  /** How long a heartbeat waits for its answer before it counts as late: shorter than their interval. */
  lockAnswerMs: 1000,
  /** How often a process looks which runners there are. */
  assignIntervalMs: 250,
  /** A runner that has not looked for work for so long, or leaves due work of its shards alone, is not ready. */
  stuckAfterMs: 10_000,
  /** Connections of a process for heartbeats, shards and assignments. */
  clusterConnections: 3,

  // -- sending
  connectTimeoutMs: 5000,
  /** The first try of a DNS query, each further one takes twice as long, and how many there are for each server. */
  dnsTryMs: 500,
  dnsTries: 3,
  /** How long a name's other family of addresses is waited for when one is known. */
  dnsOtherFamilyMs: 500,
  /** The system's look-ups of names at once: each holds one of the process's four threads, at least two of which stay free. */
  lookups: 2,
  requestTimeoutMs: 10_000,
  /** Bytes of a response that are read; the rest is discarded and the connection closed. */
  responseBytes: 64 * 1024,
  /** Bytes of a response body kept with its attempt. */
  responseExcerptBytes: 2048,
  /** Characters of a request's URL and body kept with its attempt; headers that are kept of a request or an answer, and of each. */
  requestExcerptLength: 1024,
  headersKept: 32,
  headerExcerptLength: 200,
  /** Characters of an error message kept with its attempt. */
  errorLength: 500,
  /** Requests to one origin at once, beside those that have taken longer than `slowRequestMs`. */
  connectionsPerOrigin: 64,
  slowRequestMs: 250,
  /** How long idle connections are kept open, and how long one rests after its first answer, as its server may close it then. */
  keepAliveMs: 10_000,
  connectionRestMs: 5,
  /** How long an OAuth token is kept that does not say when it expires, and how long before its end it is replaced. */
  oauthTokenMs: 5 * 60_000,
  oauthMarginMs: 30_000,
  /** Characters of an OAuth token: servers refuse requests with longer headers. */
  oauthTokenLength: 16 * 1024,
  /** Origins that connections are kept for; the least recently used idle one closes first. */
  origins: 1024,
  /** URLs whose target is remembered, so that it is judged once. */
  targets: 16_384,

  // -- subscriptions
  /** Event patterns of one subscription. */
  eventPatterns: 100,
  /** Length of a name, and of a description. */
  nameLength: 100,
  descriptionLength: 1000,
  /** Bytes of a subscription's configuration as JSON. */
  configBytes: 64 * 1024,
  /** Active signing secrets of one subscription. */
  signingSecrets: 10,
  /** How long a rotated secret goes on signing beside the new one, unless the rotation says otherwise, and at most. */
  rotationOverlapMs: 24 * 60 * 60 * 1000,
  rotationOverlapMaxMs: 7 * 24 * 60 * 60 * 1000,

  // -- connections
  /** How long a test of credentials, or a resolver of options, may take. */
  connectionTestMs: 10_000,
  /** Options that a resolver may give. */
  connectionOptions: 5000,
  /** Subscriptions of a changed connection that are confirmed one by one; with more, the time of a lease is waited out. */
  connectionConfirms: 16,

  // -- verifying
  /** Signatures of each kind in one `webhook-signature` that are tried: each costs its verifier time. */
  signaturesTried: 20,

  // -- filters
  /** Levels of `all`, `any` and `not`, the condition's own included. */
  filterDepth: 10,
  /** Conditions of one filter. */
  filterConditions: 100,
  /** Values of one `in`. */
  filterValues: 1000,
  /** Bytes of a filter as JSON. */
  filterBytes: 64 * 1024,

  // -- templates
  /** Characters of a template's source. */
  templateLength: 16 * 1024,
  /** Characters of what a template renders. */
  templateOutputLength: 2 * 1024 * 1024,
  /** Characters and list items that one rendering may make on its way, which is what LiquidJS counts as memory. */
  templateMemory: 8 * 1024 * 1024,
  /** Numbers in a range such as `(1..10)`: LiquidJS makes them all at once, and looks at the time before and after. */
  templateRange: 10_000,
  /** Time of one rendering. */
  templateRenderMs: 250,
  /** Characters of a text times those of what is searched for in it: nothing looks at the time within a search. */
  templateSearchCost: 100_000_000,
  /** Characters of a date's format: each of its fields may cost a formatter of its own. */
  templateDateFormat: 200,

  /** Values that one judgement of a filter looks at. */
  filterSteps: 50_000,

  // -- reading
  /** Items of one page, at most and unless asked for. */
  pageSize: 100,
  pageSizeDefault: 20,
  /** Bytes of payloads on one page of messages, beyond one payload. */
  pageBytes: 8 * 1024 * 1024,

  /** Stored items of a kind that one page of a list looks at. */
  listLook: 2000,
  /**
   * Deleted subscriptions whose deliveries are looked for by each, before housekeeping has ended them; with more, all that waits is
   * walked.
   */
  listDeleted: 100,

  // -- statistics
  /** Hours that statistics are asked for, at most and unless asked for. */
  statsHours: 720,
  statsHoursDefault: 24,
  /** Up to so many hours their series has fine steps; these are kept for an hour more. */
  statsFineHours: 6,
  /** The steps of a series; the database's layout has them too. */
  statsFineStepMs: 5 * 60_000,
  statsStepMs: 60 * 60_000,
  /** How long sums are kept, whatever becomes of what they count. */
  statsKeptMs: 90 * 24 * 60 * 60 * 1000,
  /** Events, providers and subscriptions shown, those with the most deliveries. */
  statsTop: 100,
  /** Unfinished deliveries that are looked at to count them. */
  statsCounted: 10_000,
  /** How long a reading of the metrics waits for what the database has to say, and how much of each it counts. */
  metricsMs: 2000,
  metricsCounted: 100_000,
  /** How often a runner asks the database for the metrics that it tells a collector. */
  metricsIntervalMs: 30_000,

  // -- the embedded PostgreSQL
  /** How long a start waits for what may pass: a recovery, another process that starts or stops the same server. */
  embeddedStartMs: 15_000,
  /** How long a stop waits for the sessions to end before it ends the server at once. */
  embeddedStopMs: 20_000,
  /** How long the server of a port has to say who it is, or who uses it. */
  embeddedAnswerMs: 2000,
  /** How long a stop waits for Hookline's sessions to end, its own just closed among them, and how often it looks. */
  embeddedSessionsMs: 1000,
  embeddedLookMs: 100,
  /** Bytes of the server's log told with a start that failed. */
  embeddedLogBytes: 2000,

  // -- keys
  /** How long a key that was looked up is taken for good, and how many are remembered. */
  keyCacheMs: 4000,
  keyCacheKeys: 10_000,
  /** Keys that are looked up at once: a flood of unknown ones must not take the connections of administration. */
  keyLookups: 2,
  /** How often it is noted which keys were used. */
  keyUseMs: 60_000,
  /** Requests of one key that a runner answers within a time, all at once if need be. */
  keyRequests: 10_000,
  keyRequestsMs: 10_000,
  /** Requests without a good key that a runner refuses of one address within a time, before it says when to come again. */
  addressRefusals: 100,
  addressRefusalsMs: 60_000,
  /** Counters of addresses: those who share one share its limit. */
  addressSlots: 65_536,
  /** How long a browser's session lasts. */
  sessionMs: 12 * 60 * 60_000,

  // -- trying
  /** The longest an attempt may take that people make to try a subscription. */
  trialMs: 30_000,
  /**
   * Tests that a runner has under way, of credentials, options and subscriptions, and those that keys of one tenant may have
   * of them.
   */
  tests: 32,
  testsPerTenant: 8,

  // -- serving
  /** How long a stopping server waits for the answers under way before it cuts them off. */
  serverDrainMs: 1000,
  /** Listeners of one runner, those that keys of one tenant may have of them, outcomes one holds while its reader is slow. */
  liveListeners: 64,
  liveListenersPerTenant: 16,
  liveBuffer: 256,
  /** Outcomes that are kept for listeners that come back. */
  liveKept: 1024,
  /** How long a live stream is silent before a comment shows that it is open. */
  liveHeartbeatMs: 15_000,

  // -- history
  /**
   * How long messages, their routing, their deliveries and the attempts of these are kept, and attempts where they go
   * earlier: whole days, by when the message or the delivery was made. Nothing goes that something unfinished needs;
   * `Retention.within` says what is bounded so that this holds nothing back for long. Sums outlive it: see `statsKeptMs`.
   */
  historyKeptMs: 30 * 24 * 60 * 60 * 1000,
  attemptsKeptMs: 30 * 24 * 60 * 60 * 1000,
  /** The longest term that may be set, of all history or of a tenant's bodies. */
  historyKeptMaxMs: 3650 * 24 * 60 * 60 * 1000,
  /** How long a partition that is taken out waits for transactions that may still read it; nobody waits behind it. */
  retentionWaitMs: 10_000,
  /** How long a drop waits for those who deliver something again, since others may wait behind it. */
  retentionLockMs: 1500,
  /** Messages whose bodies one statement empties, for a tenant with a shorter term. */
  retentionBodies: 500,
  /** How long an order to apply the terms empties bodies before it leaves the rest to housekeeping. */
  retentionApplyMs: 5000,
  /** What holds a day back is counted to so many. */
  retentionCounted: 1000,
  /** Days of partitions made ahead of time. */
  partitionsAheadDays: 7,
  /** Rows a maintenance statement deletes or moves at once. */
  maintenanceRows: 5000,
  maintenanceIntervalMs: 60_000,
  /** How often what has expired while it waited is ended, and what is left to move is looked for. */
  expireIntervalMs: 5000,
  /** How often the queues are looked at, and with how many removed rows one is cleared of them. */
  clearIntervalMs: 2000,
  clearRows: 20_000,
  /** By how many rows a table has to grow to be counted before the database does so itself; looked for as often. */
  recountRows: 10_000
}

/** @category models @since 0.1.0 */
export type Limits = typeof defaults

/**
 * The limits in force.
 *
 * @category services
 * @since 0.1.0
 */
export const Limits = Context.Reference<Limits>("hookline/Limits", { defaultValue: () => defaults })

/**
 * Layer that overrides some limits.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (overrides: Partial<Limits>): Layer.Layer<never> =>
  Layer.succeed(Limits, { ...defaults, ...overrides })
