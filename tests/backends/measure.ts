import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '@fewbit/core/engine'
import type { Backend, BackendRun, Case } from './backend.ts'
import { simulate, simulateLayers, simulatePlainly } from './cases.ts'
import { compareOutputs, stepOf } from './compare.ts'
import { runIntegers } from './integers.ts'
import { simulateKernels } from './kernels.ts'
import { compareLayers, layerTable } from './layers.ts'
import type { Row } from './report.ts'

/** Runs one engine on one network and compares. A failure is a row as well. */
export async function measure(backend: Backend, cx: Case, engine: Engine, showLayers: boolean): Promise<Row> {
  const { name, title, criterion, causes } = backend
  const head = { backend: name, title, target: cx.target.name, network: cx.network, samples: cx.samples.length }
  const judged = { ...head, ...(criterion !== undefined && { criterion }) }
  const folder = mkdtempSync(join(tmpdir(), `fewbit-${name}-`))
  try {
    const run = await backend.run(cx, folder)
    if (showLayers) await printLayers(backend, cx, engine, run)
    return { ...judged, causes, version: run.version, ...(await agreements(backend, cx, engine, run)) }
  } catch (error) {
    return { ...judged, failure: (error as Error).message.split('\n')[0] ?? '' }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function agreements(
  { arithmetic = {}, integers: scheme }: Backend,
  cx: Case,
  engine: Engine,
  { outputs, layers }: BackendRun,
) {
  const simulated = await simulate(cx, engine, arithmetic)
  const stepFor = (name: string) => stepOf(name, simulated.get(name) ?? [], cx.plan, cx.params).step
  const [first] = simulated
  const kernels = layers?.size ? await simulateKernels(cx, engine, layers, arithmetic) : undefined
  const inside = kernels && layers && compareLayers(cx, kernels, layers).all
  const integers = scheme && (await runIntegers(cx, engine, scheme))
  const integerLayers = integers && layers?.size ? compareLayers(cx, integers.layers, layers).all : undefined
  return {
    ...(integers && { integers: compareOutputs(integers.outputs, outputs, stepFor) }),
    ...(integerLayers && { integerLayers }),
    outputs: compareOutputs(simulated, outputs, stepFor),
    plain: compareOutputs(await simulatePlainly(cx, engine), outputs, stepFor),
    ...(first && { step: stepOf(...first, cx.plan, cx.params) }),
    ...(inside && { kernels: inside }),
  }
}

/** Where two runs part: each kernel on the engine's inputs, then the whole network. */
async function printLayers({ name, arithmetic = {}, integers }: Backend, cx: Case, engine: Engine, run: BackendRun) {
  const { layers } = run
  if (!layers?.size) return console.log(`${name} shows no intermediates`)
  if (integers) {
    const { layers: own } = await runIntegers(cx, engine, integers)
    console.log(layerTable(`${name} on ${cx.network}, in whole numbers`, compareLayers(cx, own, layers).each))
  }
  const kernels = await simulateKernels(cx, engine, layers, arithmetic)
  console.log(layerTable(`${name} on ${cx.network}, kernels alone`, compareLayers(cx, kernels, layers).each))
  const whole = await simulateLayers(cx, engine, arithmetic)
  console.log(layerTable(`${name} on ${cx.network}`, compareLayers(cx, whole, layers).each))
}
