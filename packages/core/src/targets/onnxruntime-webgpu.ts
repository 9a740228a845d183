import type { Target } from '../quant/index.ts'
import { each } from './rows.ts'

/**
 * ONNX Runtime Web on WebGPU: no integer kernel, so that only constants are worth quantizing. They stay small in the file and on
 * their way to the browser, and DequantizeLinear, which has a kernel, turns them into floats.
 */
export const onnxruntimeWebgpu: Target = {
  name: 'onnxruntime-webgpu',
  title: 'ONNX Runtime Web, WebGPU',
  source: 'docs/targets/onnxruntime-webgpu.md',
  evidence: 'documentation',
  // Never used: `bits` allows no scheme that quantizes activations.
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [4, 8], activations: [] },
  kernels: { activations: [], weights: ['int8', 'int4'] },
  rounding: 'half-even',
  defaultScheme: 'w8',
  ops: each({ mode: 'weights' }, ['Conv', 'ConvTranspose', 'Gemm', 'MatMul']),
  fuse: [],
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
