/**
 * Runs artefacts on the engines that they are made for, and compares the outputs with our simulation in steps of the output.
 *
 *   npm run test:backends [-- network,network] [--engines openvino,litert] [--samples 32] [--layers] [--json file]
 *     [--target onnxruntime] [--kinds conv,Add] [--random 60] [--seed 1]
 *
 * `random` among the networks: random layers of every kind that the engine runs in integers, which have to equal the interpreter in every
 * element; --random says how many of each.
 * Engines come from npm and pip; what cannot be installed is skipped and named. Exits with 1 where an engine misses its criterion or
 * fails. --json keeps the rows of the file that were not measured again. --layers prints the quantized intermediates that differ, for
 * engines that show them.
 * --target lets the engines run another target's plan than their own.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { TARGETS } from '@fewbit/core/targets'
import { nodeEngine } from '@fewbit/engine-node'
import { NETWORKS, type Network } from '../../bench/lib/networks.ts'
import { DATA } from '../../bench/lib/shared-data.ts'
import type { Backend } from './backend.ts'
import { makeCase } from './cases.ts'
import { BACKENDS } from './engines/index.ts'
import { measure } from './measure.ts'
import { measureRandom } from './random/measure.ts'
import { type Row, replaceRows, table, verdictOf } from './report.ts'

const DEFAULT_NETWORKS = 'random,resnet20,vww,honk,squeezenet'
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: '' },
    samples: { type: 'string', default: '32' },
    layers: { type: 'boolean', default: false },
    json: { type: 'string' },
    target: { type: 'string' },
    kinds: { type: 'string', default: '' },
    random: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  },
})
const engine = nodeEngine()

function selectedBackends(): Backend[] {
  const wanted = values.engines.split(',').filter(Boolean)
  const chosen = BACKENDS.filter(({ name }) => wanted.length === 0 || wanted.some((w) => name.startsWith(w)))
  return values.target ? chosen.map((backend) => ({ ...backend, target: values.target as string })) : chosen
}

function skippedRows({ name, title, target }: Backend, skipped: string, networks: readonly Network[]): Row[] {
  return networks.map((network) => ({ backend: name, title, target, network: network.name, skipped }))
}

async function rowsFor(network: Network, backends: readonly Backend[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const target of new Set(backends.filter((b) => !b.kinds).map((b) => b.target))) {
    const cx = await makeCase(network, target, engine, Number(values.samples))
    for (const backend of backends.filter((b) => b.target === target && !b.kinds)) {
      const row = await measure(backend, cx, engine, values.layers)
      show(row)
      rows.push(row)
    }
  }
  return rows
}

const show = (row: Row): void => console.log(table([row]).split('\n')[2])

async function randomRows(backends: readonly Backend[]): Promise<Row[]> {
  const kinds = values.kinds.split(',').filter(Boolean)
  const options = { layers: Number(values.random), samples: 2, seed: Number(values.seed), kinds }
  const rows: Row[] = []
  for (const backend of backends) {
    for await (const row of measureRandom(backend, engine, options)) {
      show(row)
      rows.push(row)
    }
  }
  return rows
}

async function main(): Promise<number> {
  const wanted = (positionals.length > 0 ? positionals.join(',') : DEFAULT_NETWORKS).split(',')
  const asked = NETWORKS.filter(({ name }) => wanted.includes(name))
  const networks = existsSync(DATA) ? asked : []
  if (networks.length < asked.length) console.log('networks are skipped: the shared data are not there (FEWBIT_DATA)')
  const rows: Row[] = []
  const present: Backend[] = []
  for (const backend of selectedBackends()) {
    const reason = Object.hasOwn(TARGETS, backend.target) ? backend.unavailable?.() : 'there is no such target'
    if (reason === undefined) present.push(backend)
    else rows.push(...skippedRows(backend, reason, networks))
  }
  if (wanted.includes('random')) rows.push(...(await randomRows(present)))
  for (const network of networks) rows.push(...(await rowsFor(network, present)))
  console.log(`\n${table(rows)}`)
  if (values.json) {
    mkdirSync(join(values.json, '..'), { recursive: true })
    const before = existsSync(values.json) ? (JSON.parse(readFileSync(values.json, 'utf8')) as Row[]) : []
    writeFileSync(values.json, `${JSON.stringify(replaceRows(before, rows), null, 2)}\n`)
  }
  return rows.some((row) => ['missed', 'failed'].includes(verdictOf(row))) ? 1 : 0
}

process.exitCode = await main()
