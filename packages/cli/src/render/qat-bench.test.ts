import type { QatBench, QatCell } from '@fewbit/core/pipeline'
import { describe, expect, it } from 'vitest'
import { renderQatBench } from './qat-bench.ts'

const cell = (algorithm: string, target: string, more: Partial<QatCell>): QatCell => ({
  ...{ model: 'net', scheme: 'w4a4', algorithm, target, seconds: 1 },
  ...more,
})
const refused = { code: 'QAT_OBSTACLE', reason: 'scales are powers of two' }

describe('the table of bench qat', () => {
  it('shows trained beside deployed scores, and each reason once', () => {
    const bench: QatBench = {
      ...{ format: 'fewbit-qat-bench', version: 1, settings: {}, float: { net: { top1: 82.5 } } },
      cells: [
        cell('lsq', 'academic', { qfloat: { top1: 80 }, deployed: { top1: 79.5 }, measuredOn: 'simulation' }),
        cell('lsq', 'tvm', { refused }),
        cell('pact', 'tvm', { refused }),
        cell('lsq', 'onnxruntime', {
          qfloat: { top1: 70 },
          deployed: { top1: 69 },
          measuredOn: 'backend',
          beyond: true,
        }),
      ],
    }
    const text = renderQatBench(bench)
    expect(text.split('\n').map((line) => line.trim().replace(/ {2,}/g, ' | '))).toEqual([
      'net, w4a4',
      'float: top1 82.50 %',
      '',
      'trained / deployed | academic | tvm | onnxruntime*',
      'lsq | 80.00 % / 79.50 % | – (1) | 70.00 % / 69.00 %',
      'pact | – (1)',
      '',
      '* the rules of the backend, at bits that it has no kernels for',
      'deployed networks of onnxruntime ran on the backend itself, others were simulated',
      '(1) scales are powers of two',
    ])
  })
})
