import type { AnalysisReport, TensorReport } from '@fewbit/core/analysis'
import { describe, expect, it } from 'vitest'
import { drawable, type LayerFilter, largest, layerRows, passes } from './layer-rows.ts'

const metrics = (sqnr: number) => ({ sqnr, cosine: 1, mse: 0, maxAbs: 0, count: 1 })

const tensor = (value: string, layer?: string, saturated?: number): TensorReport => ({
  ...{ value, role: 'activation', count: 1, min: 0, max: 1, mean: 0, std: 1, skew: 0, kurtosis: 3 },
  ...(layer === undefined ? {} : { layer }),
  ...(saturated === undefined ? {} : { saturated }),
  histogram: { edges: [], counts: [] },
})

const report: AnalysisReport = {
  ...{ format: 'fewbit-analysis', version: 1, versions: { fewbit: '0', engine: 'e' }, outputs: [], diagnostics: [] },
  data: { name: 'd', samples: 1, synthetic: false },
  layers: [
    { node: 'conv', opType: 'Conv', value: 'c', graphwise: metrics(30), isolated: metrics(12), decision: 'integer' },
    { node: 'relu', opType: 'Relu', value: 'r', graphwise: metrics(Infinity), decision: 'fused' },
    { node: 'head', opType: 'Gemm', value: 'h', graphwise: metrics(Number.NaN) },
  ],
  tensors: [tensor('x'), tensor('w', 'conv', 0.1), tensor('c', 'conv', 0.3), tensor('late', 'gone')],
  plan: {
    nodes: [
      { node: 'head', opType: 'Gemm', decision: 'float', reason: { code: 'TAIL', text: 'at the end' } },
      { node: 'gone', opType: 'Mul', decision: 'quantized', reason: { code: 'OP', text: 'by rule' } },
    ],
    tensors: [
      { value: 'c', role: 'activation', group: 'c', readers: ['relu', 'head'], reason: { code: 'OPERAND', text: '' } },
    ],
  },
}

const everything: LayerFilter = { text: '', opType: '', decision: '', atMost: undefined }
const names = (filter: Partial<LayerFilter>) =>
  layerRows(report)
    .filter((row) => passes(row, { ...everything, ...filter }))
    .map(({ name }) => name)

describe('rows of the table of layers', () => {
  it('are inputs, layers in graph order, then nodes that only tensors name', () => {
    const rows = layerRows(report)
    expect(rows.map(({ index, name, opType }) => [index, name, opType])).toEqual([
      [0, 'x', 'input'],
      [1, 'conv', 'Conv'],
      [2, 'relu', 'Relu'],
      [3, 'head', 'Gemm'],
      [4, 'gone', 'Mul'],
    ])
  })

  it('know what they make, read and lose', () => {
    const [, conv, , head] = layerRows(report)
    expect(conv?.tensors.map(({ value }) => value)).toEqual(['w', 'c'])
    expect(head?.inputs.map(({ value }) => value)).toEqual(['c'])
    expect(largest(conv!, ({ saturated }) => saturated)).toBe(0.3)
    expect(largest(head!, ({ saturated }) => saturated)).toBeUndefined()
  })

  it('are drawn where they have an error that a quantizer can make', () => {
    const errors = [30, -5, 142, Infinity, -Infinity, Number.NaN, undefined]
    expect(errors.map(drawable)).toEqual([30, -5, ...Array(5).fill(undefined)])
  })

  it('are found by name and operator in any case, by operator and by decision, the plan included', () => {
    expect(names({ text: ' CONV' })).toEqual(['conv'])
    expect(names({ text: 'gemm' })).toEqual(['head'])
    expect(names({ opType: 'Relu' })).toEqual(['relu'])
    expect(names({ decision: 'float' })).toEqual(['head'])
    expect(names({})).toHaveLength(5)
  })

  it('pass a threshold if either error is at or below it, and if broken', () => {
    expect(names({ atMost: 12 })).toEqual(['conv', 'head'])
    expect(names({ atMost: 11.9 })).toEqual(['head'])
    expect(names({ atMost: 100 })).toEqual(['conv', 'head'])
  })
})
