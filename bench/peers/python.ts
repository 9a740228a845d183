import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Everything that the comparison writes: the Python environment, samples and models. Ignored by git. */
export const CACHE = fileURLToPath(new URL('../../.cache/peers', import.meta.url))
export const PACKAGES = ['onnx==1.23.1', 'onnxruntime==1.30.0', 'numpy==2.4.6', 'sympy==1.14.0']

const PYTHON = join(CACHE, 'bin/python')
const SCRIPT = fileURLToPath(new URL('quantize.py', import.meta.url))

export interface Cost {
  readonly seconds: number
  readonly peakMegabytes: number
}

/** Makes the Python environment if it is missing. Returns why it cannot be had, or undefined. */
export function ensurePython(): string | undefined {
  if (works()) return undefined
  mkdirSync(CACHE, { recursive: true })
  const made = spawnSync('python3', ['-m', 'venv', CACHE], { encoding: 'utf8' })
  if (made.error || made.status !== 0) return `python3 -m venv failed: ${lastLine(made)}`
  const installed = spawnSync(PYTHON, ['-m', 'pip', 'install', '-q', ...PACKAGES], { encoding: 'utf8' })
  return installed.status === 0 ? undefined : `pip cannot install ${PACKAGES.join(', ')}: ${lastLine(installed)}`
}

const works = (): boolean =>
  existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import onnxruntime.quantization']).status === 0

const lastLine = ({ error, stderr }: SpawnSyncReturns<string>): string =>
  error?.message ?? stderr.trim().split('\n').at(-1) ?? 'no message'

export interface PeerTask {
  readonly model: string
  readonly samples: string
  readonly output: string
  readonly weights: 'per-tensor' | 'per-channel'
  readonly method: 'MinMax' | 'Percentile'
}

/** Runs the Python tool in a process of its own. Its failures are results too. */
export function quantizeWithPeer(task: PeerTask): Cost | { readonly failure: string } {
  const { model, samples, output, weights, method } = task
  return costOf(spawnSync(PYTHON, [SCRIPT, model, samples, output, weights, method], { encoding: 'utf8' }))
}

/** What a quantizing process printed as its last line, or how it failed. */
export function costOf(run: SpawnSyncReturns<string>): Cost | { readonly failure: string } {
  if (run.error || run.status !== 0) return { failure: lastLine(run) }
  return JSON.parse(run.stdout.trim().split('\n').at(-1) as string)
}
