import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, Feeds, LoadOptions, ModelSource, Session, SessionValue } from '@fewbit/core/engine'
import { serializeModel } from '@fewbit/core/ir'
import { FewbitError, must, problem } from '@fewbit/core/util'
import { decodeMessage, encodeMessage, packTensors, unpackTensors } from '../message.ts'
import type { Answer, Order, Ready } from '../protocol.ts'
import { Queue } from '../queue.ts'
import { findChromium } from './find.ts'
import { PageServer } from './server.ts'

export interface ChromiumOptions {
  readonly provider: 'wasm' | 'webgpu'
  /** Path of the browser; by default CHROMIUM_PATH, or where Chromium and Chrome usually are. */
  readonly path?: string
  readonly threads?: number
}

/** An engine in a browser, which has to be closed. */
export interface ChromiumEngine {
  readonly engine: Engine
  /** What the WebGPU adapter calls itself. */
  readonly adapter?: string
  close(): Promise<void>
}

const HEADLESS = ['--headless=new', '--no-first-run', '--disable-extensions', '--disable-background-networking']
/** Root, which containers run as, has no sandbox to give. */
const AS_ROOT = process.getuid?.() === 0 ? ['--no-sandbox'] : []
const WEBGPU = ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist']
/** A processor in the place of a graphics card: slow, and right. */
const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist']

/**
 * ONNX Runtime Web in headless Chromium, for a program in Node. WebGPU takes the graphics card, or a processor in its place where there is none.
 * @throws FewbitError CHROMIUM_MISSING, CHROMIUM_FAILED; ENGINE_ADAPTER where the browser has no WebGPU at all.
 */
export async function chromiumEngine(options: ChromiumOptions): Promise<ChromiumEngine> {
  const path = options.path ?? findChromium()
  if (path === undefined) throw noBrowser()
  if (options.provider === 'wasm') return open(path, options, [])
  try {
    return await open(path, options, WEBGPU)
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'ENGINE_ADAPTER') throw error
    return open(path, options, SOFTWARE_GPU)
  }
}

async function open(path: string, { provider, threads }: ChromiumOptions, flags: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'fewbit-chromium-'))
  const server = new PageServer()
  const address = new URL(await server.listen())
  address.searchParams.set('provider', provider)
  if (threads !== undefined) address.searchParams.set('threads', String(threads))
  const first = server.answer()
  const browser = spawn(path, [...HEADLESS, ...AS_ROOT, ...flags, `--user-data-dir=${folder}`, address.href], {
    stdio: 'ignore',
  })
  browser.on('error', (error) => server.fail(browserFailed(error.message)))
  browser.on('exit', (code) => server.fail(browserFailed(`it ended with ${code ?? 'a signal'}`)))
  // Not to outlive a program that ends without closing it.
  const kill = () => browser.kill('SIGKILL')
  process.once('exit', kill)
  const close = async () => {
    process.removeListener('exit', kill)
    await closeAll(browser, server, folder)
  }
  try {
    const ready = must(checked(await withTimeout(first)).head.ready, 'greeting of the page')
    return { engine: engineOn(server, ready, provider), close, ...(ready.adapter && { adapter: ready.adapter }) }
  } catch (error) {
    await close()
    throw error
  }
}

const START_SECONDS = 60

function withTimeout(first: Promise<Uint8Array>): Promise<Uint8Array> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(browserFailed(`it said nothing for ${START_SECONDS} seconds`)),
      START_SECONDS * 1000,
    )
  })
  return Promise.race([first, late]).finally(() => clearTimeout(timer))
}

async function closeAll(browser: ChildProcess, server: PageServer, folder: string): Promise<void> {
  const ended = new Promise((resolve) => {
    if (browser.exitCode !== null || browser.pid === undefined) resolve(undefined)
    else browser.once('exit', resolve)
  })
  server.close()
  browser.kill('SIGKILL')
  await ended
  // Helper processes of the browser may write a last time.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}

function engineOn(server: PageServer, { name, version, threads }: Ready, provider: string): Engine {
  const line = new Line(server)
  return {
    name: `${name}-chromium`,
    version,
    // What ONNX Runtime 1.30 accepts; it refuses a file above either.
    capabilities: { maxOpset: 26, maxIrVersion: 13, providers: [provider], threads },
    load: (model, options = {}) => line.load(model, options),
  }
}

/** One order at a time, because the page has one queue. */
class Line {
  readonly #server: PageServer
  readonly #queue = new Queue()

  constructor(server: PageServer) {
    this.#server = server
  }

  async load(source: ModelSource, options: LoadOptions): Promise<Session> {
    if ('path' in source) throw noPath(source.path)
    const bytes = source instanceof Uint8Array ? source : serializeModel(source)
    const { head } = await this.ask({ kind: 'load', options }, bytes)
    const { session, inputs, outputs } = must(head.loaded, 'answer')
    return new PageSession(this, session, inputs, outputs)
  }

  ask(order: Order, body?: Uint8Array): Promise<{ head: Answer; body: Uint8Array }> {
    return this.#queue.run(async () => checked(await this.#server.ask(encodeMessage(order, body))))
  }
}

class PageSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #line: Line
  readonly #id: number
  #released = false

  constructor(line: Line, id: number, inputs: readonly SessionValue[], outputs: readonly SessionValue[]) {
    this.#line = line
    this.#id = id
    this.inputs = inputs
    this.outputs = outputs
  }

  async run(tensors: Feeds, wanted?: readonly string[]): Promise<Feeds> {
    const { heads: feeds, body } = packTensors(tensors)
    const order: Order = { kind: 'run', session: this.#id, feeds, ...(wanted && { wanted }) }
    const answer = await this.#line.ask(order, body)
    return unpackTensors(must(answer.head.outputs, 'answer'), answer.body)
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    await this.#line.ask({ kind: 'release', session: this.#id })
  }
}

function checked(bytes: Uint8Array): { head: Answer; body: Uint8Array } {
  const message = decodeMessage<Answer>(bytes)
  if (message.head.error) throw new FewbitError(message.head.error)
  return message
}

const noBrowser = () =>
  problem('CHROMIUM_MISSING', 'there is no Chromium or Chrome to run networks in', {
    fix: 'install one (Debian: apt-get install chromium), or name it with CHROMIUM_PATH',
  })

const browserFailed = (why: string) =>
  problem('CHROMIUM_FAILED', `the browser does not run: ${why}`, { fix: 'start it by hand to see what is wrong' })

const noPath = (file: string) =>
  problem('ENGINE_LOAD', 'a browser reads no files of this machine: hand over the model', { at: { file } })
