/**
 * Restate: a message is sent to a service whose handler posts it within `ctx.run`. A message to several endpoints is sent once, to
 * a handler that sends one to each: that is how Restate fans out. What is durable is as it is by default.
 *
 * The handlers wait until the system works. By then the server has begun as many invocations as it has at once, so these are
 * bounded: with its default of 1,000 for each of 24 partitions, most of what is there to drain would be half done before the
 * drain begins. Twice the deliveries in flight keeps these fed. Where each endpoint has a share of its own the default stands, as
 * invocations for an endpoint that hangs wait for their share.
 *
 * Tried: 1, 2, 4, 8 and 24 partitions (see `RestateServer.ts`), the default bound, and `journalRetention` as it is by default,
 * which differs less than two runs of the same.
 */
import * as restate from "@restatedev/restate-sdk"
import { createServer } from "node:http2"
import { Pool } from "undici"
import { close } from "../Post.ts"
import type { Payload, Running, Setting, System } from "../System.ts"
import { bounded } from "./Bounded.ts"
import { attempts, concurrency, deliver, type Job, queues } from "./Jobs.ts"
import { freePort } from "./Port.ts"
import { start } from "./RestateServer.ts"

/** Requests to the ingress at once. */
const sends = 128

/** Invocations at once. */
const invocations = 2 * concurrency

interface Fan {
  readonly urls: ReadonlyArray<string>
  readonly payload: Payload
}

const open = async (setting: Setting): Promise<Running> => {
  const { all, of } = queues(setting)
  const bounds = new Map(all.map(({ concurrency, name }) => [name, bounded(concurrency)] as const))
  const working = Promise.withResolvers<void>()
  const one = restate.service({
    name: "deliver",
    handlers: {
      send: async (ctx: restate.Context, job: Job) => {
        const { id } = ctx.request()
        await working.promise
        await ctx.run("post", async () => {
          const bound = bounds.get(of(job.url))
          if (!bound) throw new restate.TerminalError(`No queue has ${job.url}`)
          await bound(() => deliver(id, job))
        }, { maxRetryAttempts: attempts, initialRetryInterval: 1000 })
      }
    },
    // What is done is not kept, as with the queues.
    options: { journalRetention: 0 }
  })
  const fan = restate.service({
    name: "fan",
    handlers: {
      send: async (ctx: restate.Context, { payload, urls }: Fan) => {
        await working.promise
        const client = ctx.serviceSendClient(one)
        for (const url of urls) client.send({ url, payload })
      }
    },
    options: { journalRetention: 0 }
  })
  const service = createServer(restate.createEndpointHandler({ services: [one, fan], logger: () => {} }))
  const port = await freePort()
  await new Promise<void>((resolve) => service.listen(port, "127.0.0.1", resolve))
  const server = await start(setting.folder, all.length === 1 ? invocations : undefined)
  const json = { "content-type": "application/json", accept: "application/json" }
  const registered = await fetch(`${server.admin}/deployments`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ uri: `http://127.0.0.1:${port}/` })
  })
  if (!registered.ok) throw new Error(`Restate does not register the service: ${await registered.text()}`)
  const ingress = new Pool(server.ingress, { connections: sends, pipelining: 1 })
  const send = async (path: string, body: Job | Fan) => {
    const answer = await ingress.request({ path, method: "POST", headers: json, body: JSON.stringify(body) })
    if (answer.statusCode >= 300) throw new Error(`Restate answered ${answer.statusCode}: ${await answer.body.text()}`)
    await answer.body.dump()
  }
  const emit = (event: number, payload: Payload) => {
    const urls = setting.routes[event] ?? []
    const [url] = urls
    return url !== undefined && urls.length === 1
      ? send("/deliver/send/send", { url, payload })
      : send("/fan/send/send", { urls, payload })
  }
  return {
    server: server.pid,
    emit,
    fill: (event, payloads) => Promise.all(payloads.map((payload) => emit(event, payload))),
    work: async () => working.resolve(),
    unfinished: async () => {
      const answer = await fetch(`${server.admin}/query`, {
        method: "POST",
        headers: json,
        body: JSON.stringify({ query: "select count(*) as n from sys_invocation_status where status <> 'completed'" })
      })
      const { rows: [row] } = await answer.json() as { readonly rows: ReadonlyArray<{ readonly n: number }> }
      return row?.n ?? 0
    },
    close: async () => {
      await server[Symbol.asyncDispose]()
      service.close()
      await ingress.destroy()
      await close()
    }
  }
}

export const system: System = {
  name: "Restate",
  settings: "one node, 2 partitions, 128 invocations at once, journalRetention 0, 64 deliveries at once",
  store: "own",
  open
}
