import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '@fewbit/core/engine'
import { FewbitError, must, problem } from '@fewbit/core/util'
import type { Ready } from '../protocol.ts'
import { answerOf, remoteEngine } from '../remote.ts'
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
    // A process group of its own, to be ended with all helper processes.
    detached: true,
  })
  browser.on('error', (error) => server.fail(browserFailed(error.message)))
  browser.on('exit', (code) => server.fail(browserFailed(`it ended with ${code ?? 'a signal'}`)))
  // Not to outlive a program that ends without closing it.
  const kill = () => killAll(browser)
  process.once('exit', kill)
  const close = async () => {
    process.removeListener('exit', kill)
    await closeAll(browser, server, folder)
  }
  try {
    const ready = must(answerOf(await withTimeout(first)).head.ready, 'greeting of the page')
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
  killAll(browser)
  await ended
  // A helper process that is being ended may write a last time.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}

/** The browser with its helper processes, where the system has process groups. */
function killAll(browser: ChildProcess): void {
  if (browser.pid === undefined) return
  try {
    process.kill(-browser.pid, 'SIGKILL')
  } catch {
    browser.kill('SIGKILL')
  }
}

function engineOn(server: PageServer, ready: Ready, provider: string): Engine {
  return remoteEngine({ ...ready, name: `${ready.name}-chromium` }, provider, (order) => server.ask(order))
}

const noBrowser = () =>
  problem('CHROMIUM_MISSING', 'there is no Chromium or Chrome to run networks in', {
    fix: 'install one (Debian: apt-get install chromium), or name it with CHROMIUM_PATH',
  })

const browserFailed = (why: string) =>
  problem('CHROMIUM_FAILED', `the browser does not run: ${why}`, { fix: 'start it by hand to see what is wrong' })
