/**
 * Our gradients beside PyTorch's: every rule on its cases, and whole published networks by inputs and all weights.
 *
 *   npm run bench:peers:gradients [-- --networks resnet20,vww] [--golden]
 *
 * PyTorch runs the same ONNX graphs through an interpreter of one function for each operator (onnx_torch.py), in float32 and in float64, which is the
 * reference of both. Makes a Python environment in .cache/gradients with pip; says so and stops where that cannot be had. Results: bench/results/
 * gradients-peer.json; with --golden also the figures of all cases, which the contract of gradients compares with.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Engine } from '@fewbit/core/engine'
import { nodeEngine } from '@fewbit/engine-node'
import { type Fingerprint, GRADIENT_CASES, gradientTask } from '@fewbit/testkit'
import { ensurePython, lastLine, pythonOf } from '../../lib/python.ts'
import { requireData } from '../../lib/shared-data.ts'
import { networkTask, POINTS } from './networks.ts'
import { TaskFolder } from './tasks.ts'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const ENV = {
  folder: at('../../../.cache/gradients'),
  packages: ['torch==2.13.0', 'onnx==1.23.1', 'numpy==2.4.6'],
  module: 'torch',
}
const GOLDEN = at('../../../packages/testkit/src/contracts/gradient-peers.json.golden')
const RESULTS = at('../../results/gradients-peer.json')
const TOLERANCE = 1e-3

interface Row {
  readonly name: string
  readonly failure?: string
  /** Largest error over largest element, against PyTorch in float64. */
  readonly gradients?: Readonly<Record<string, { ours: number; torch: number; fingerprint: Fingerprint }>>
}

function compare(folder: string): Row[] {
  const run = spawnSync(pythonOf(ENV), [at('compare.py'), folder], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (run.error || run.status !== 0) throw new Error(lastLine(run))
  return JSON.parse(run.stdout.trim().split('\n').at(-1) as string)
}

async function rules(engine: Engine): Promise<Row[]> {
  const folder = new TaskFolder(`${ENV.folder}/rules`)
  for (const [type, cases] of Object.entries(GRADIENT_CASES)) {
    // PyTorch has no equal for a step in half of a graph of doubles: such cases are what they are.
    for (const c of cases) folder.add({ name: `${type}\t${c.text}`, ...(await gradientTask(c, engine, 'float32')) })
  }
  folder.close()
  return compare(`${ENV.folder}/rules`)
}

async function networks(names: readonly string[], engine: Engine): Promise<Row[]> {
  const rows: Row[] = []
  for (const name of names) {
    const folder = new TaskFolder(`${ENV.folder}/networks`)
    folder.add(await networkTask(name, engine))
    folder.close()
    rows.push(...compare(`${ENV.folder}/networks`))
  }
  return rows
}

/** Worst errors of a row's gradients. */
function worst(row: Row) {
  const all = Object.values(row.gradients ?? {})
  const most = (side: 'ours' | 'torch') => Number(Math.max(0, ...all.map((g) => g[side])).toPrecision(3))
  return {
    gradients: all.length,
    ours: most('ours'),
    torch: most('torch'),
    ...(row.failure && { failure: row.failure }),
  }
}

const { values: args } = parseArgs({
  options: { networks: { type: 'string' }, golden: { type: 'boolean', default: false } },
})
requireData()
const failure = ensurePython(ENV)
if (failure) {
  console.error(`no Python environment: ${failure}`)
  process.exit(1)
}
const engine = nodeEngine()
const cases = await rules(engine)
const byRule = new Map<string, Row[]>()
for (const row of cases) {
  const type = row.name.split('\t')[0] as string
  byRule.set(type, [...(byRule.get(type) ?? []), row])
}
const ruleTable = [...byRule].map(([operator, rows]) => {
  const found = rows.map(worst)
  const most = (side: 'ours' | 'torch') => Math.max(...found.map((f) => f[side]))
  const failures = found.flatMap((f) => f.failure ?? [])
  return {
    operator,
    cases: rows.length,
    ours: most('ours'),
    torch: most('torch'),
    ...(failures.length > 0 && { failures }),
  }
})
const networkTable = (await networks(args.networks?.split(',') ?? Object.keys(POINTS), engine)).map((row) => ({
  network: row.name,
  ...worst(row),
}))
console.table(ruleTable.filter((row) => row.ours > TOLERANCE / 100 || 'failures' in row))
console.table(networkTable)
const bad = [...ruleTable, ...networkTable].filter(
  (row) => row.ours > TOLERANCE || 'failures' in row || 'failure' in row,
)
console.log(
  `${ruleTable.length} operators, ${cases.length} cases, ${networkTable.length} networks; beyond ${TOLERANCE}: ${bad.length}`,
)
writeFileSync(RESULTS, `${JSON.stringify({ rules: ruleTable, networks: networkTable }, null, 2)}\n`)
if (args.golden) {
  const digits = (v: number) => Number(v.toPrecision(7))
  const golden = cases.flatMap(({ name, gradients }) =>
    gradients
      ? [
          [
            name.split('\t')[1],
            Object.fromEntries(Object.entries(gradients).map(([n, g]) => [n, g.fingerprint.map(digits)])),
          ],
        ]
      : [],
  )
  writeFileSync(GOLDEN, `${JSON.stringify(Object.fromEntries(golden), null, 1)}\n`)
}
process.exitCode = bad.length > 0 ? 1 : 0
