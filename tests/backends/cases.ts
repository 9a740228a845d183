import { type Engine, type Feeds, type LoadOptions, probeModel } from '@fewbit/core/engine'
import { type OnCodesOptions, onCodes } from '@fewbit/core/integer'
import { graphValues, type Model } from '@fewbit/core/ir'
import { planModel, quantize } from '@fewbit/core/pipeline'
import { findTarget } from '@fewbit/core/targets'
import { loadModel } from '@fewbit/engine-node'
import { modelPath, type Network } from '../../bench/lib/networks.ts'
import type { Case, Values } from './backend.ts'

/**
 * Quantizes a network for a target and takes the first samples of its data. One observer and no search, so that nothing stays in
 * float that an integer kernel could run: what is checked here are kernels.
 */
export async function makeCase(network: Network, target: string, engine: Engine, count: number): Promise<Case> {
  const model = await loadModel(modelPath(network))
  const data = await network.calibration(model)
  const options = { engine, target, smallLayers: 'integer' } as const
  const { float } = await planModel(model, options)
  const calibration = { data, samples: network.samples, observer: 'mse' }
  const { model: quantized, plan, params } = await quantize(model, { ...options, calibration })
  const samples: Feeds[] = []
  for await (const { feeds } of data.samples()) if (samples.length < count) samples.push(feeds)
  return { network: network.name, target: findTarget(target), float, quantized, plan, params, samples }
}

/** Runs every sample alone and joins the outputs. */
export async function runSamples(
  model: Model,
  engine: Engine,
  samples: readonly Feeds[],
  options: LoadOptions,
): Promise<Values> {
  const session = await engine.load(model, options)
  try {
    const runs: Feeds[] = []
    for (const feeds of samples) runs.push(await session.run(feeds))
    return joined(runs)
  } finally {
    await session.release()
  }
}

/** Tensors of the same name behind one another. */
export function joined(runs: readonly Feeds[]): Values {
  const names = Object.keys(runs[0] ?? {})
  return new Map(names.map((name) => [name, runs.flatMap((run) => Array.from(run[name]?.numbers() ?? []))]))
}

const SIMULATE = { optimization: 'simulate' } as const

/** The plain simulation: real values in float32 between the quantizers of the plan. */
export const simulatePlainly = (cx: Case, engine: Engine): Promise<Values> =>
  runSamples(cx.quantized, engine, cx.samples, SIMULATE)

export type Arithmetic = OnCodesOptions | 'real'

/** The graph of the simulation: of integer kernels, sums on codes, which are exact, and one rounding of each. */
export const simulated = (quantized: Model, arithmetic: Arithmetic): Model =>
  arithmetic === 'real' ? quantized : onCodes(quantized, arithmetic)

export const simulate = (cx: Case, engine: Engine, arithmetic: Arithmetic): Promise<Values> =>
  runSamples(simulated(cx.quantized, arithmetic), engine, cx.samples, SIMULATE)

/** The simulation's quantized activations, by the name of the value that was quantized. */
export async function simulateLayers(cx: Case, engine: Engine, arithmetic: Arithmetic): Promise<Values> {
  const names = dequantized(cx)
  const model = probeModel(simulated(cx.quantized, arithmetic), [...names.values()])
  const values = await runSamples(model, engine, cx.samples, SIMULATE)
  return new Map([...names].map(([value, probe]) => [value, values.get(probe) ?? []]))
}

/** For each planned activation, the value that its readers see: a graph output keeps its name behind the quantizer. */
export function dequantized({ plan, quantized }: Case): Map<string, string> {
  const present = new Set([...graphValues(quantized.graph)].map((value) => value.name))
  const names = new Map<string, string>()
  for (const { value, role, graphOutput } of plan.tensors) {
    const seen = graphOutput ? value : `${value}_dequantized`
    if (role === 'activation' && present.has(seen)) names.set(value, seen)
  }
  return names
}
