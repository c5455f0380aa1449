/**
 * The description of what the server answers beside the contract, without a key: for those who watch a runner or balance
 * between several.
 */
import * as Undeclared from "./Undeclared.ts"

/**
 * The tag of these operations.
 *
 * @category constants
 * @since 0.1.0
 */
export const tag = { name: "health", description: "Whether a runner is alive, and whether it can work." }

/**
 * The schemas of their answers.
 *
 * @category constants
 * @since 0.1.0
 */
export const schemas = {
  HealthLive: {
    type: "object",
    properties: { status: { type: "string", enum: ["live"], description: "The process answers" } },
    required: ["status"],
    additionalProperties: false
  },
  HealthReady: {
    type: "object",
    properties: {
      status: { type: "string", enum: ["ready"], description: "It does what is due" },
      codeMissing: {
        type: "array",
        description: "What is needed and this runner lacks the code of; left out where that is nothing",
        items: {
          type: "object",
          properties: {
            kind: { type: "string", enum: ["event", "provider"], description: "What is missing" },
            id: { type: "string", description: "Its id" }
          },
          required: ["kind", "id"],
          additionalProperties: false
        }
      }
    },
    required: ["status"],
    additionalProperties: false
  }
}

/**
 * The operations by their paths, each with the name of its schema and the problems that it may answer, by their names.
 *
 * @category constants
 * @since 0.1.0
 */
export const operations = {
  "/health/live": {
    name: "HealthLive",
    id: "health.live",
    summary: "Tell whether the process lives",
    description: "Answers as long as the process does, whatever the database does: restart what does not answer.",
    example: { status: "live" },
    problems: {}
  },
  "/health/ready": {
    name: "HealthReady",
    id: "health.ready",
    summary: "Tell whether the runner can work",
    description:
      "503 until the runner has its lease and its shards, does what is due and can read the database: send it " +
      "no requests meanwhile. What it lacks the code of makes it no less ready.",
    example: { status: "ready" },
    problems: { NotReady: Undeclared.notReady }
  }
}
