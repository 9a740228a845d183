// Imports point down only. Reads every import of packages/*/src, compares the ranks of the two places (ARCHITECTURE.md,
// "Layers"), and refuses upward imports, cycles inside a layer's files, host modules in core and deep imports across packages.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { sourceFiles } from './sources.ts'

const RANKS: readonly (readonly string[])[] = [
  ['core/src/util'],
  ['core/src/onnx'],
  ['core/src/ir'],
  ['core/src/ops', 'core/src/weights'],
  ['core/src/passes', 'core/src/autodiff', 'core/src/zoo'],
  ['core/src/engine'],
  ['core/src/training-data'],
  ['core/src/training'],
  ['core/src/quant'],
  ['core/src/observers', 'core/src/calibration', 'core/src/fake-quantizers'],
  ['core/src/algorithms', 'core/src/qat'],
  ['core/src/targets', 'core/src/exporters', 'core/src/integer'],
  ['core/src/analysis', 'core/src/import'],
  ['core/src/pipeline'],
  ['core/src/index.ts', 'engine-node', 'engine-web', 'report'],
  ['testkit', 'cli'],
]

const IMPORT = /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[\w*{}\s,$]+\s+from\s+)?'([^']+)'/g

interface Import {
  target: string
  typeOnly: boolean
}

function importsOf(file: string): Import[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((m) => ({
    target: m[3] as string,
    typeOnly: Boolean(m[2]),
  }))
}

/** The imported file as a path in the repository, or null for packages from npm. */
function resolve(file: string, target: string): string | null {
  if (target.startsWith('.')) return normalize(join(dirname(file), target))
  const core = target.match(/^@fewbit\/([\w-]+)(?:\/([\w-]+))?$/)
  if (!core) return target === 'fewbit' ? 'packages/cli/src/index.ts' : null
  return core[2] ? `packages/${core[1]}/src/${core[2]}/index.ts` : `packages/${core[1]}/src/index.ts`
}

function rank(path: string): number {
  return RANKS.findIndex((places) => places.some((place) => `${path}/`.startsWith(`packages/${place}/`)))
}

function* complaints(file: string): Generator<string> {
  for (const { target, typeOnly } of importsOf(file)) {
    const isTest = file.endsWith('.test.ts')
    if (file.startsWith('packages/core/') && !isTest && /^(node:|onnxruntime)/.test(target)) {
      yield `${file} imports ${target}: core runs in browsers; take what the host knows as an argument`
    }
    if (/^@fewbit\/[\w-]+\/.+\//.test(target))
      yield `${file} imports ${target}: import the package's layer, not its files`
    const to = resolve(file, target)
    if (!to || isTest) continue
    if (to.startsWith('packages/') && !existsSync(to)) yield `${file} imports ${target}, which does not exist`
    // A type declared low is how layers meet, so a type-only import of an interface may cross one rank upward.
    const upward = rank(to) - rank(file)
    if (rank(file) >= 0 && upward > (typeOnly ? 1 : 0)) {
      yield `${file} imports ${to}, a higher layer: move what it needs down, or pass it in`
    }
  }
}

/** Files on an import cycle (value imports only; type imports vanish at run time), as one readable chain each. */
function cycles(files: readonly string[]): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      found.push([...path.slice(at), file].join(' → '))
      return
    }
    if (done.has(file) || !existsSync(file)) return
    for (const { target, typeOnly } of importsOf(file)) {
      const to = typeOnly ? null : resolve(file, target)
      if (to) visit(to, [...path, file])
    }
    done.add(file)
  }
  for (const file of files) visit(file, [])
  return found
}

const files = sourceFiles().filter((file) => /^packages\/[\w-]+\/src\//.test(file))
const problems = files.flatMap((file) => [...complaints(file)])
for (const cycle of cycles(files.filter((file) => !file.endsWith('.test.ts')))) problems.push(`import cycle: ${cycle}`)
for (const line of problems) console.error(line)
console.log(`layers: ${files.length} files, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0
