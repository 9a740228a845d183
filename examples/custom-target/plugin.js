const CODES = { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' }

/**
 * A small accelerator: convolutions and products on int8 codes around zero, one power-of-two scale for each tensor, a Relu inside
 * the kernel, and everything else on the host in float.
 */
const accelerator = {
  name: 'example-npu',
  title: 'Example NPU',
  source: 'examples/custom-target/plugin.js',
  evidence: 'documentation',
  activations: { ...CODES, powerOfTwo: 'ceil' },
  weights: { ...CODES, powerOfTwo: 'ceil' },
  bias: { bits: 32 },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  ops: {
    Conv: { mode: 'integer', attrs: { group: [1] } },
    Gemm: { mode: 'integer', floatOutput: true, attrs: { alpha: [1], beta: [1] } },
    MaxPool: { mode: 'pass', share: 'input0' },
    Flatten: { mode: 'pass', share: 'input0' },
    Relu: { mode: 'float', why: 'no kernel runs right before it that could absorb it' },
  },
  fuse: [{ name: 'Relu', hosts: ['Conv', 'Gemm'], chain: ['Relu'], clips: 'accumulator' }],
  minOpset: 13,
  exporters: ['qdq'],
}

export const plugin = { name: 'example-target', targets: [accelerator] }
