/**
 * Runs artefacts on the engines that they are made for, and compares the outputs with our simulation in steps of the output.
 *
 *   npm run test:backends [-- network,network] [--engines openvino,litert] [--samples 32] [--layers] [--json file]
 *     [--target onnxruntime]
 *
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
import { type Row, replaceRows, table, verdictOf } from './report.ts'

const DEFAULT_NETWORKS = 'resnet20,vww,honk,squeezenet'
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: '' },
    samples: { type: 'string', default: '32' },
    layers: { type: 'boolean', default: false },
    json: { type: 'string' },
    target: { type: 'string' },
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
  for (const target of new Set(backends.map((b) => b.target))) {
    const cx = await makeCase(network, target, engine, Number(values.samples))
    for (const backend of backends.filter((b) => b.target === target)) {
      const row = await measure(backend, cx, engine, values.layers)
      console.log(table([row]).split('\n')[2])
      rows.push(row)
    }
  }
  return rows
}

async function main(): Promise<number> {
  if (!existsSync(DATA)) {
    console.log('skipped: the shared data are not there (FEWBIT_DATA)')
    return 0
  }
  const wanted = (positionals.length > 0 ? positionals.join(',') : DEFAULT_NETWORKS).split(',')
  const networks = NETWORKS.filter(({ name }) => wanted.includes(name))
  const rows: Row[] = []
  const present: Backend[] = []
  for (const backend of selectedBackends()) {
    const reason = Object.hasOwn(TARGETS, backend.target) ? backend.unavailable?.() : 'there is no such target'
    if (reason === undefined) present.push(backend)
    else rows.push(...skippedRows(backend, reason, networks))
  }
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
