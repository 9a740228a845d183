import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readNpz } from '@fewbit/engine-node'
import { ensurePython, lastLine, type PythonEnv, pythonOf } from '../../bench/lib/python.ts'
import { writeSamples } from '../../bench/lib/samples.ts'
import { fromSamples } from '../../bench/lib/shared-data.ts'
import type { Backend, BackendRun, Case, Values } from './backend.ts'

const CACHE = fileURLToPath(new URL('../../.cache/backends', import.meta.url))

export interface PythonBackend extends Omit<Backend, 'unavailable' | 'run'>, Omit<PythonEnv, 'folder'> {
  /** A file beside this one's `engines` that runs a folder of artefacts: see `engines/common.py`. */
  readonly script: string
  /** Names the environment; default: its module. */
  readonly cache?: string
  /** Writes what the engine reads into the folder; returns what the script has to know, as plain data. */
  artefacts(cx: Case, folder: string): Promise<Record<string, unknown>>
}

/** An engine whose Python package is installed into an environment of its own. */
export function pythonBackend(backend: PythonBackend): Backend {
  const env = { ...backend, folder: join(CACHE, backend.cache ?? backend.module) }
  return {
    ...backend,
    unavailable: () => ensurePython(env),
    async run(cx, folder) {
      const job = { outputs: cx.float.graph.outputs.map((v) => v.name), ...(await backend.artefacts(cx, folder)) }
      writeFileSync(join(folder, 'job.json'), JSON.stringify(job))
      const samples = cx.samples.map((feeds, i) => ({ id: String(i), feeds }))
      await writeSamples(fromSamples(cx.network, samples), join(folder, 'inputs.npz'))
      return runScript(env, backend.script, folder)
    },
  }
}

async function runScript(env: PythonEnv, script: string, folder: string): Promise<BackendRun> {
  const path = fileURLToPath(new URL(`engines/${script}`, import.meta.url))
  const run = spawnSync(pythonOf(env), [path, folder], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (run.error || run.status !== 0) throw new Error(lastLine(run))
  const { version } = JSON.parse(run.stdout.trim().split('\n').at(-1) as string)
  const outputs = await arrays(join(folder, 'outputs.npz'))
  return { version, outputs, layers: await arrays(join(folder, 'layers.npz')) }
}

async function arrays(path: string): Promise<Values> {
  return new Map([...(await readNpz(path))].map(([name, tensor]) => [name, tensor.numbers()]))
}
