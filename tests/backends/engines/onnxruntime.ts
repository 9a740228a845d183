import { probeModel } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { nodeEngine } from '@fewbit/engine-node'
import { artefactsOf } from '../artefacts.ts'
import { type Backend, type BackendRun, type Case, CRITERION } from '../backend.ts'
import { dequantized, runSamples } from '../cases.ts'

const engine = nodeEngine()
const ALL = { optimization: 'all' } as const

/** Requantization of the integer kernels: one float32 factor, which the simulation on codes takes over. */
export const ORT = {
  target: 'onnxruntime',
  criterion: CRITERION,
  arithmetic: { add: 'ratios' },
  integers: 'ort',
  causes: [],
} as const

/** Fuses QuantizeLinear and DequantizeLinear into its integer kernels. */
export const onnxruntime: Backend = { ...ORT, name: 'onnxruntime', title: 'ONNX Runtime for Node, QDQ', run: runQdq }

export const onnxruntimeOperators: Backend = {
  ...ORT,
  name: 'onnxruntime-qoperator',
  title: 'ONNX Runtime for Node, QOperator',
  run: async (cx) => ({ version: engine.version, outputs: await runSamples(operators(cx), engine, cx.samples, ALL) }),
}

async function runQdq(cx: Case): Promise<BackendRun> {
  const names = dequantized(cx)
  const probed = await runSamples(probeModel(cx.quantized, [...names.values()]), engine, cx.samples, ALL)
  const layers = new Map([...names].map(([value, probe]) => [value, probed.get(probe) ?? []]))
  return { version: engine.version, outputs: await runSamples(cx.quantized, engine, cx.samples, ALL), layers }
}

function operators(cx: Case): Model {
  const [artifact] = artefactsOf(cx, 'qoperator')
  if (artifact?.kind !== 'model') throw new Error('the exporter wrote no model')
  return artifact.model
}
