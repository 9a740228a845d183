import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

/** Shares a layer between two threads, and neither releases them nor ends. */
const SCRIPT = `
  import { pooledKernels } from '@fewbit/core/integer'
  import { nodeEngine } from '@fewbit/engine-node'
  const point = { size: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, paddedEnd: 1, positions: 1 }
  const rows = { size: 4096, kernel: 8, stride: 8, dilation: 1, begin: 0, paddedEnd: 4096, positions: 512 }
  const out = new Uint8Array(4096)
  const rule = { kind: 'factor', factors: Float32Array.of(1), rounding: 'half-even', zeroPoint: 0 }
  const layer = { terms: 8, stride: 8, channels: 8, weights: new Int16Array(64).fill(1), bias: new Int32Array(8) }
  const data = { codes: new Uint8Array(4096).fill(1), samples: 1, group: 1, inputs: 1, shift: 0, fill: 0 }
  const kernels = pooledKernels(nodeEngine().startPool, 2, 1)
  for (let i = 0; i < 50; i++) {
    kernels.sums({ ...data, window: [point, rows], ...layer, rule, min: 0, max: 255, channelsLast: true, out })
  }
  console.log(out.every((code) => code === 8))
`

it('threads that nobody releases do not keep the process alive', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    timeout: 50_000,
  })
  expect(stdout.trim()).toBe('true')
})
