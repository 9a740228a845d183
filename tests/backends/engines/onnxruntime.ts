import { probeModel } from '@fewbit/core/engine'
import { nodeEngine } from '@fewbit/engine-node'
import { type Backend, type BackendRun, type Case, CRITERION } from '../backend.ts'
import { dequantized, runSamples } from '../cases.ts'

const engine = nodeEngine()

/** Fuses QuantizeLinear and DequantizeLinear into its integer kernels. */
export const onnxruntime: Backend = {
  name: 'onnxruntime',
  title: 'ONNX Runtime for Node, QDQ',
  target: 'onnxruntime',
  criterion: CRITERION,
  causes: ['integer kernels multiply the sum by one float32 factor, the simulation sums products of float32 values'],
  run: runQdq,
}

async function runQdq(cx: Case): Promise<BackendRun> {
  const names = dequantized(cx)
  const options = { optimization: 'all' } as const
  const probed = await runSamples(probeModel(cx.quantized, [...names.values()]), engine, cx.samples, options)
  const layers = new Map([...names].map(([value, probe]) => [value, probed.get(probe) ?? []]))
  return {
    version: engine.version,
    outputs: await runSamples(cx.quantized, engine, cx.samples, options),
    layers,
  }
}
