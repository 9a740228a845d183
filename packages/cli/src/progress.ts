import type { ProgressEvent } from '@fewbit/core/pipeline'
import { seconds } from '@fewbit/core/util'
import { DefaultRenderer, Listr, ListrLogger, ProcessOutput } from 'listr2'
import type { Console } from './output.ts'

/** Shows the stages of one verb on stderr. */
export interface ProgressView {
  readonly onProgress: (event: ProgressEvent) => void
  /** Ends the view; `failed` marks the running stage. */
  finish(failed?: boolean): Promise<void>
}

/** Draws wherever its logger writes. The default renderer gives up when stdout is redirected, but we draw on stderr. */
class OnStderr extends DefaultRenderer {
  static override nonTTY = true
}

/** Bars on a terminal, one line for each finished stage elsewhere. */
export async function progressView(console: Console): Promise<ProgressView> {
  if (!console.isTerminal) return new LineView(console)
  // The renderer loads its modules at its first use, and would draw nothing while the first stages pass.
  await new Listr([], {
    renderer: OnStderr,
    rendererOptions: { clearOutput: true, logger: stderrLogger(console) },
  }).run()
  return new TerminalView(console)
}

/** Seconds after which a stage that has more to say says so where nothing can be redrawn. */
const NEWS = 30

class LineView implements ProgressView {
  readonly #console: Console
  #samples = 0
  #note: string | undefined
  #told = 0

  constructor(console: Console) {
    this.#console = console
  }

  readonly onProgress = (event: ProgressEvent): void => {
    if (event.state === 'start') this.#start()
    else if (event.state === 'progress') this.#progress(event)
    else this.#end(event)
  }

  #start(): void {
    this.#samples = 0
    this.#note = undefined
    this.#told = performance.now()
  }

  #progress({ stage, done = 0, total, note }: ProgressEvent): void {
    this.#samples = done
    this.#note = note
    if (note === undefined || performance.now() - this.#told < 1000 * NEWS) return
    this.#told = performance.now()
    this.#console.err.write(`  ${stage}, ${done}/${total ?? '?'}: ${note}\n`)
  }

  #end({ stage, seconds: s = 0 }: ProgressEvent): void {
    const detail = this.#note ?? (this.#samples > 0 ? `${this.#samples} done` : undefined)
    this.#console.err.write(`${stage}: ${seconds(s)}${detail === undefined ? '' : `, ${detail}`}\n`)
  }

  async finish(): Promise<void> {}
}

/** The part of a task that we change while it runs. */
interface Task {
  title: string
}

/** One line on the screen. The title is kept, because a short stage may end before its line is first drawn. */
class StageLine {
  readonly ended: Promise<void>
  readonly #settle: { done: () => void; fail: (error: Error) => void }
  #task: Task | undefined
  #title: string

  constructor(title: string) {
    this.#title = title
    const { promise, resolve, reject } = withResolvers()
    this.ended = promise
    this.#settle = { done: resolve, fail: reject }
  }

  get title(): string {
    return this.#title
  }

  set title(title: string) {
    this.#title = title
    if (this.#task) this.#task.title = title
  }

  attach(task: Task): Promise<void> {
    this.#task = task
    task.title = this.#title
    return this.ended
  }

  end(failed: boolean): void {
    if (failed) this.#settle.fail(new Error(this.#title))
    else this.#settle.done()
  }
}

/** Each stage is a task that ends when the stage's `end` event arrives. */
class TerminalView implements ProgressView {
  readonly #console: Console
  #running: StageLine | undefined
  #note: string | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(console: Console) {
    this.#console = console
  }

  readonly onProgress = (event: ProgressEvent): void => {
    if (event.state === 'start') this.#start(event.stage)
    else if (event.state === 'progress') this.#update(event)
    else this.#end(event)
  }

  async finish(failed = false): Promise<void> {
    this.#running?.end(failed)
    this.#running = undefined
    await this.#last
  }

  #start(stage: string): void {
    const line = new StageLine(stage)
    this.#note = undefined
    // A stage may fail before its line is drawn.
    line.ended.catch(() => undefined)
    // One after the other: two lists on the screen would overwrite each other's lines, and the logger of the second would
    // take the first one's hold on stderr for the real one.
    this.#last = this.#last.then(() => this.#draw(line)).catch(() => undefined)
    this.#running = line
  }

  #draw(line: StageLine): Promise<unknown> {
    const list = new Listr([{ title: line.title, task: (_, task) => line.attach(task) }], {
      exitOnError: false,
      registerSignalListeners: false,
      renderer: OnStderr,
      rendererOptions: { showErrorMessage: false, collapseErrors: false, logger: stderrLogger(this.#console) },
    })
    return list.run()
  }

  #update({ stage, done = 0, total, note }: ProgressEvent): void {
    this.#note = note
    if (this.#running) this.#running.title = `${stage}  ${bar(done, total)}${note === undefined ? '' : `  ${note}`}`
  }

  #end({ stage, seconds: s = 0 }: ProgressEvent): void {
    if (!this.#running) return
    this.#running.title = `${stage}  ${seconds(s)}${this.#note === undefined ? '' : `  ${this.#note}`}`
    this.#running.end(false)
    this.#running = undefined
  }
}

function stderrLogger({ err }: Console): ListrLogger {
  const stream = err as NodeJS.WriteStream
  return new ListrLogger({ useIcons: true, toStderr: [], processOutput: new ProcessOutput(stream, stream) })
}

/** `Promise.withResolvers` of Node 22. */
function withResolvers() {
  let resolve: () => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

const WIDTH = 24

function bar(done: number, total: number | undefined): string {
  if (!total) return String(done)
  const filled = Math.min(WIDTH, Math.floor((WIDTH * done) / total))
  return `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${done}/${total}`
}
