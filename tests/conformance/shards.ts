import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Outcome, WAYS, type Way } from './ways.ts'

/** One case and the ways that it still has to go. */
export interface Job {
  readonly name: string
  readonly ways: readonly Way[]
}

export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'start'; readonly way: Way }
  | { readonly kind: 'outcome'; readonly way: Way; readonly outcome: Outcome }
  | { readonly kind: 'end' }

export interface Result extends Outcome {
  readonly name: string
  readonly way: Way
}

/** Longest a single way of a single case may take: the largest needs some seconds. */
const LIMIT_MS = 60_000

/**
 * Runs every case in child processes, `shards` at a time. A process that dies or hangs fails the way that it was on; a new
 * one goes on with the next.
 */
export async function runCases(
  names: readonly string[],
  shards: number,
  seen: (r: Result) => void,
  worker = new URL('./worker.ts', import.meta.url),
): Promise<void> {
  const queue = names.map((name): Job => ({ name, ways: WAYS }))
  await Promise.all(Array.from({ length: shards }, () => runShard(queue, seen, worker)))
}

async function runShard(queue: Job[], seen: (r: Result) => void, worker: URL): Promise<void> {
  let child = await startWorker(worker)
  for (let job = queue.shift(); job; job = queue.shift()) {
    const rest = await runJob(child, job, seen)
    if (!rest) continue
    child = await startWorker(worker)
    if (rest.ways.length > 0) queue.unshift(rest)
  }
  child.disconnect()
}

/**
 * A worker that listens. It inherits the loader of the parent, so that the sources run as they are. The engine logs each
 * model that it refuses; what matters of that is in the outcomes.
 */
async function startWorker(worker: URL): Promise<ChildProcess> {
  const child = fork(fileURLToPath(worker), { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000)
  })
  const first = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => undefined)])
  if (!first) throw new Error(`a worker ended before it was ready: ${log}`)
  return child
}

/** Undefined when the process survived; otherwise what is left of the job. */
function runJob(child: ChildProcess, { name, ways }: Job, seen: (r: Result) => void): Promise<Job | undefined> {
  return new Promise((resolve) => {
    let current = ways[0] as Way
    child.send({ name, ways } satisfies Job)
    const kill = () => void child.kill('SIGKILL')
    let timer = setTimeout(kill, LIMIT_MS)
    const finish = (rest: Job | undefined) => {
      clearTimeout(timer)
      child.removeAllListeners()
      resolve(rest)
    }
    child.on('message', (report: Report) => {
      if (report.kind === 'end') return finish(undefined)
      if (report.kind === 'outcome') return seen({ name, way: report.way, ...report.outcome })
      if (report.kind === 'start') current = report.way
      clearTimeout(timer)
      timer = setTimeout(kill, LIMIT_MS)
    })
    child.on('exit', (code, signal) => {
      seen({ name, way: current, status: 'failed', reason: `the process ended with ${signal ?? code}` })
      finish({ name, ways: ways.slice(ways.indexOf(current) + 1) })
    })
  })
}
