/**
 * Runs artefacts on the engines that they are made for, and compares the outputs with our simulation in steps of the output.
 *
 *   npm run test:backends [-- network,network] [--engines openvino,litert] [--samples 32] [--layers] [--json file]
 *
 * Engines come from npm and pip; what cannot be installed is skipped and named. Exits with 1 where an engine misses its criterion or
 * fails. --layers prints the first quantized intermediates that differ, for engines that show them.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { nodeEngine } from '@fewbit/engine-node'
import { NETWORKS, type Network } from '../../bench/lib/networks.ts'
import { DATA } from '../../bench/lib/shared-data.ts'
import type { Backend, Case, Values } from './backend.ts'
import { makeCase, simulate, simulateLayers } from './cases.ts'
import { compareOutputs, stepOf } from './compare.ts'
import { BACKENDS } from './engines/index.ts'
import { simulateKernels } from './kernels.ts'
import { compareLayers, layerTable } from './layers.ts'
import { type Row, table, verdictOf } from './report.ts'

const DEFAULT_NETWORKS = 'resnet20,vww,honk,squeezenet'
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: '' },
    samples: { type: 'string', default: '32' },
    layers: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const engine = nodeEngine()

interface Simulated {
  readonly cx: Case
  readonly outputs: Values
  readonly layers: Values
}

async function rowFor(backend: Backend, simulated: Simulated): Promise<Row> {
  const { cx } = simulated
  const { name, title, criterion, causes } = backend
  const head = { backend: name, title, target: cx.target.name, network: cx.network, samples: cx.samples.length }
  const folder = mkdtempSync(join(tmpdir(), `fewbit-${name}-`))
  try {
    const { version, outputs, layers } = await backend.run(cx, folder)
    const [first] = simulated.outputs
    const step = first && stepOf(first[0], first[1], cx.plan, cx.params)
    const stepFor = (output: string) => stepOf(output, simulated.outputs.get(output) ?? [], cx.plan, cx.params).step
    const kernels = layers?.size ? await simulateKernels(cx, engine, layers) : new Map()
    const inside = compareLayers(cx, kernels, layers ?? new Map())
    if (values.layers) {
      console.log(layerTable(`${name} on ${cx.network}, kernels alone`, inside.each))
      console.log(layerTable(`${name} on ${cx.network}`, compareLayers(cx, simulated.layers, layers ?? new Map()).each))
    }
    return {
      ...head,
      version,
      outputs: compareOutputs(simulated.outputs, outputs, stepFor),
      ...(step && { step }),
      ...(inside.all && { kernels: inside.all }),
      ...(criterion !== undefined && { criterion }),
      causes,
    }
  } catch (error) {
    return { ...head, ...(criterion !== undefined && { criterion }), failure: (error as Error).message }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function selectedBackends(): Backend[] {
  const wanted = values.engines.split(',').filter(Boolean)
  return BACKENDS.filter(({ name }) => wanted.length === 0 || wanted.some((w) => name.startsWith(w)))
}

function skippedRows({ name, title, target }: Backend, skipped: string, networks: readonly Network[]): Row[] {
  return networks.map((network) => ({ backend: name, title, target, network: network.name, skipped }))
}

async function rowsFor(network: Network, backends: readonly Backend[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const target of new Set(backends.map((b) => b.target))) {
    const cx = await makeCase(network, target, engine, Number(values.samples))
    const simulated = { cx, outputs: await simulate(cx, engine), layers: await simulateLayers(cx, engine) }
    for (const backend of backends.filter((b) => b.target === target)) {
      const row = await rowFor(backend, simulated)
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
    const reason = backend.unavailable?.()
    if (reason === undefined) present.push(backend)
    else rows.push(...skippedRows(backend, reason, networks))
  }
  for (const network of networks) rows.push(...(await rowsFor(network, present)))
  console.log(`\n${table(rows)}`)
  if (values.json) {
    mkdirSync(join(values.json, '..'), { recursive: true })
    writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
  }
  return rows.some((row) => ['missed', 'failed'].includes(verdictOf(row))) ? 1 : 0
}

process.exitCode = await main()
