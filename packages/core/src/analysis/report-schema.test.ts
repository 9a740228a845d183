import { describe, expect, it } from 'vitest'
import { type AnalysisReport, analysisJson, parseAnalysis } from './report-schema.ts'

const metrics = { sqnr: 31.2, cosine: 0.9996, mse: 1e-4, maxAbs: 0.03, count: 640 }

const full: AnalysisReport = {
  format: 'fewbit-analysis',
  version: 1,
  command: 'fewbit analyze a.onnx b.onnx --data x.npz --layerwise',
  versions: { fewbit: '0.1.0', engine: 'onnxruntime 1.30.0' },
  model: {
    float: { name: 'a.onnx', bytes: 4000 },
    quantized: { name: 'b.onnx', bytes: 1200 },
    target: 'onnxruntime',
    scheme: 'w8a8',
    nodes: { integer: 1, fused: 1, quantized: 0, float: 2 },
    macs: 1e9,
    integerShare: 0.98,
  },
  data: { name: 'x.npz', samples: 64, synthetic: false },
  outputs: [{ value: 'y', metrics: { ...metrics, kl: 0.002 } }],
  parts: { weightsOnly: metrics, activationsOnly: { ...metrics, sqnr: -Infinity } },
  task: { data: 'test', samples: 100, before: { top1: 81 }, after: { top1: 80.5 } },
  layers: [
    {
      node: 'Infinity',
      opType: 'Conv',
      value: 'NaN',
      graphwise: { ...metrics, sqnr: Infinity },
      isolated: { ...metrics, sqnr: NaN, cosine: NaN, mse: NaN, maxAbs: NaN },
      weightsOnly: metrics,
      activationsOnly: metrics,
      decision: 'integer',
      macs: 1e9,
      bits: { weight: 8, activation: 8 },
      accumulator: { summands: 27, headroomBits: 11.2, saturablePairs: 0.25 },
    },
  ],
  tensors: [
    {
      value: 'w',
      role: 'weight',
      layer: 'conv',
      dims: [2, 3],
      ...{ count: 6, min: -1, max: 1, mean: 0, std: 0.5, skew: 0, kurtosis: 2 },
      histogram: { edges: [-1, 0, 1], counts: [3, 3] },
      quantization: {
        ...{ bits: 8, signed: true, symmetric: true, quantMin: -127, quantMax: 127, granularity: 'channel', axis: 0 },
        ...{ scale: [0.1, 0.2], zeroPoint: [0, 0], scales: 2, lo: -25.4, hi: 25.4 },
      },
      saturated: 0,
      zeros: 1 / 6,
      channels: { axis: 0, min: [-1, 0], max: [1, 0], rangeRatio: 1, dead: [1] },
    },
  ],
  sensitivity: [{ node: 'conv', opType: 'Conv', sqnr: 31, noiseShare: 1, task: { top1: 80.9 } }],
  pareto: {
    ...{ unit: 'bytes', metric: 'sqnr', higherIsBetter: true, chosen: 0 },
    points: [{ budget: 100, size: 1200, metric: 31, label: 'w8', bits: { conv: 8 }, onFront: true }],
  },
  findings: [
    {
      cause: 'outliers',
      title: 'few values make the range wide',
      level: 'warning',
      at: { value: 'x' },
      evidence: { ratio: Infinity, tensor: 'x' },
      fix: 'use another observer',
      effect: { metric: 'sqnr', before: 20, after: 25 },
    },
  ],
  plan: { nodes: [], tensors: [] },
  recipe: { format: 'fewbit-recipe' },
  diagnostics: [{ code: 'SOME_CODE', level: 'info', message: 'a sentence', at: { node: 'conv' } }],
  seconds: { analyze: 1.5 },
}

const refusal = (json: string) => {
  try {
    parseAnalysis(json, 'report.json')
  } catch (error) {
    return String(error)
  }
  return undefined
}

describe('the analysis document', () => {
  it('comes back from JSON as it was, infinities and NaN included, and names that look like numbers stay names', () => {
    expect(parseAnalysis(analysisJson(full))).toEqual(full)
  })

  it('needs no more than versions, data, outputs and layers', () => {
    const { format, version, versions, data, outputs, layers, diagnostics } = full
    const least: AnalysisReport = { format, version, versions, data, outputs, layers, diagnostics }
    expect(parseAnalysis(analysisJson(least))).toEqual(least)
  })

  it('refuses what is no analysis and says where a field is wrong', () => {
    expect(refusal('no JSON')).toMatch(/ANALYSIS_FORMAT.*not an analysis/)
    expect(refusal('{"format":"fewbit-plan","version":1}')).toMatch(/ANALYSIS_FORMAT/)
    expect(refusal(analysisJson({ ...full, data: { name: 'x', samples: -1, synthetic: false } }))).toMatch(
      /ANALYSIS_FORMAT[\s\S]*data\.samples/,
    )
  })

  it('refuses a later version by its number', () => {
    expect(refusal('{"format":"fewbit-analysis","version":2}')).toMatch(/ANALYSIS_VERSION.*version 2/)
  })
})
