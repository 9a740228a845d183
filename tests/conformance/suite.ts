import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BackendCase, backendCases } from '@fewbit/testkit'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DATA = process.env.FEWBIT_DATA ?? join(ROOT, '../shared/data')
const ARCHIVE = join(DATA, 'onnx-backend-tests.tar.gz')
const CACHE = join(ROOT, '.cache/onnx-backend')

/** Folders of one case each: `model.onnx` and numbered tensors. */
const KINDS = ['node', 'simple', 'pytorch-converted', 'pytorch-operator']

/** Why the suite cannot run, or undefined. */
export const missingSuite = (): string | undefined =>
  existsSync(ARCHIVE) ? undefined : `${ARCHIVE} does not exist; FEWBIT_DATA names the folder that holds it`

/** Every case of the ONNX backend suite, named `kind/case`, extracted once into .cache. */
export function conformanceCases(): BackendCase[] {
  const folder = extracted()
  const folders = KINDS.flatMap((kind) =>
    backendCases(join(folder, kind)).map((c) => ({ ...c, name: `${kind}/${c.name}` })),
  )
  return [...folders, ...lightCases(join(folder, 'light'))]
}

/** Published architectures whose weights are computed in the graph, with one expected output and no stored input. */
function lightCases(folder: string): BackendCase[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.onnx'))
    .sort()
    .map((file) => {
      const name = file.replace(/\.onnx$/, '')
      const outputs = [join(folder, `${name}_output_0.pb`)]
      return { name: `light/${name}`, modelPath: join(folder, file), dataSets: [{ inputs: [], outputs }] }
    })
}

function extracted(): string {
  const { size, mtimeMs } = statSync(ARCHIVE)
  const stamp = `${size} ${mtimeMs}`
  const stampFile = join(CACHE, '.stamp')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return CACHE
  const part = `${CACHE}.${process.pid}`
  mkdirSync(part, { recursive: true })
  execFileSync('tar', ['-xzf', ARCHIVE, '-C', part])
  writeFileSync(join(part, '.stamp'), stamp)
  rmSync(CACHE, { recursive: true, force: true })
  renameSync(part, CACHE)
  return CACHE
}
