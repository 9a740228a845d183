import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ensurePython, lastLine, pythonOf } from '../lib/python.ts'

/** Everything that the comparison writes: the Python environment, samples and models. Ignored by git. */
export const CACHE = fileURLToPath(new URL('../../.cache/peers', import.meta.url))
export const PACKAGES = ['onnx==1.23.1', 'onnxruntime==1.30.0', 'numpy==2.4.6', 'sympy==1.14.0']

const ENV = { folder: CACHE, packages: PACKAGES, module: 'onnxruntime.quantization' }
const PYTHON = pythonOf(ENV)
const SCRIPT = fileURLToPath(new URL('quantize.py', import.meta.url))

export interface Cost {
  readonly seconds: number
  readonly peakMegabytes: number
}

export const missingPython = (): string | undefined => ensurePython(ENV)

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
