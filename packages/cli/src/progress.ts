import type { ProgressEvent } from '@fewbit/core/pipeline'
import { Listr, type ListrTaskWrapper } from 'listr2'
import type { Console } from './output.ts'
import { seconds } from './render/numbers.ts'

/** Shows the stages of one verb. */
export interface ProgressView {
  readonly onProgress: (event: ProgressEvent) => void
  /** Ends the view; `failed` marks the running stage. */
  finish(failed?: boolean): Promise<void>
}

export const silent: ProgressView = { onProgress: () => {}, finish: async () => {} }

/** Bars on a terminal, one line for each finished stage elsewhere. */
export function progressView(console: Console): ProgressView {
  return console.isTerminal ? new TerminalView() : new LineView(console)
}

class LineView implements ProgressView {
  readonly #console: Console
  #samples = 0

  constructor(console: Console) {
    this.#console = console
  }

  readonly onProgress = (event: ProgressEvent): void => {
    if (event.state === 'start') this.#samples = 0
    if (event.state === 'progress') this.#samples = event.done ?? 0
    if (event.state !== 'end') return
    const detail = this.#samples > 0 ? `, ${this.#samples} done` : ''
    this.#console.err.write(`${event.stage}: ${seconds(event.seconds ?? 0)}${detail}\n`)
  }

  async finish(): Promise<void> {}
}

type Task = ListrTaskWrapper<unknown, never, never>

interface RunningTask {
  task: Task | undefined
  end: (error?: Error) => void
  done: Promise<unknown>
}

/** Each stage is a task that ends when the stage's `end` event arrives. */
class TerminalView implements ProgressView {
  #running: RunningTask | undefined
  #last: Promise<unknown> = Promise.resolve()

  readonly onProgress = (event: ProgressEvent): void => {
    if (event.state === 'start') this.#start(event.stage)
    else if (event.state === 'progress') this.#update(event)
    else this.#end(event)
  }

  async finish(failed = false): Promise<void> {
    this.#running?.end(failed ? new Error('stopped') : undefined)
    await this.#last
  }

  #start(stage: string): void {
    let end: (error?: Error) => void = () => {}
    const ended = new Promise<void>((resolve, reject) => {
      end = (error) => (error ? reject(error) : resolve())
    })
    const running: RunningTask = { task: undefined, end, done: Promise.resolve() }
    const body = (_: unknown, task: unknown): Promise<void> => {
      running.task = task as Task
      return ended
    }
    const list = new Listr([{ title: stage, task: body }], {
      concurrent: false,
      exitOnError: false,
      rendererOptions: { showErrorMessage: false },
      registerSignalListeners: false,
    })
    running.done = this.#last.then(() => list.run()).catch(() => undefined)
    this.#last = running.done
    this.#running = running
  }

  #update({ stage, done = 0, total }: ProgressEvent): void {
    if (this.#running?.task) this.#running.task.title = `${stage}  ${bar(done, total)}`
  }

  #end({ stage, seconds: s = 0 }: ProgressEvent): void {
    if (this.#running?.task) this.#running.task.title = `${stage}  ${seconds(s)}`
    this.#running?.end()
    this.#running = undefined
  }
}

const WIDTH = 24

function bar(done: number, total: number | undefined): string {
  if (!total) return String(done)
  const filled = Math.min(WIDTH, Math.floor((WIDTH * done) / total))
  return `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${done}/${total}`
}
