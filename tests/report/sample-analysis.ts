import type { AnalysisReport, TensorReport } from '@fewbit/core/analysis'
import { type Rng, rng as rngFrom } from '@fewbit/core/util'

type Layer = AnalysisReport['layers'][number]

const OPERATORS = ['Conv', 'Relu', 'Conv', 'Add', 'Relu', 'MaxPool'] as const

const metrics = (sqnr: number) => ({
  sqnr,
  cosine: 1 - 10 ** (-sqnr / 10) / 2,
  mse: 10 ** (-sqnr / 10),
  maxAbs: 8 * 10 ** (-sqnr / 20),
  count: 64_000,
})

/** Bars of a normal distribution around `mean`, from its values at the middle of each. */
function bell(mean: number, std: number, count: number) {
  const edges = Array.from({ length: 97 }, (_, i) => mean + std * (i / 12 - 4))
  const counts = edges.slice(1).map((edge) => {
    const z = (edge - std / 24 - mean) / std
    return Math.round((count * Math.exp(-(z * z) / 2)) / 30)
  })
  return { edges, counts }
}

function weight(layer: string, rng: Rng, channels: number): TensorReport {
  const max = Array.from({ length: channels }, () => 0.2 + 0.8 * rng.next())
  return {
    ...{ value: `${layer}.weight`, role: 'weight', layer, dims: [channels, 16, 3, 3], count: channels * 144 },
    ...{ min: -1, max: 1, mean: 0.001, std: 0.12, skew: -0.2, kurtosis: 5.2 },
    histogram: bell(0, 0.12, channels * 144),
    quantization: {
      ...{ bits: 8, signed: true, symmetric: true, quantMin: -127, quantMax: 127, granularity: 'channel', axis: 0 },
      ...{ scale: max.map((m) => m / 127), zeroPoint: max.map(() => 0), scales: channels, lo: -1, hi: 1 },
    },
    ...{ saturated: 0, zeros: 0.02 + 0.2 * rng.next() },
    channels: { axis: 0, min: max.map((m) => -m * (0.6 + 0.4 * rng.next())), max, rangeRatio: 4.2, dead: [] },
  }
}

function activation(value: string, rng: Rng, layer?: string): TensorReport {
  const hi = 2 + 4 * rng.next()
  const max = Array.from({ length: 16 }, () => hi * (0.3 + 0.8 * rng.next()))
  return {
    ...{
      value,
      role: 'activation',
      ...(layer === undefined ? {} : { layer }),
      dims: [1, 16, 32, 32],
      count: 1_048_576,
    },
    ...{ min: -1, max: hi * 1.1, mean: 1.1, std: 1, skew: 0.6, kurtosis: 3.4 },
    histogram: bell(1.1, hi / 5, 1_048_576),
    quantization: {
      ...{ bits: 8, signed: false, symmetric: false, quantMin: 0, quantMax: 255, granularity: 'tensor' },
      ...{ scale: [hi / 255], zeroPoint: [0], scales: 1, lo: 0, hi },
    },
    ...{ saturated: 0.002 * rng.next(), zeros: 0.3 * rng.next(), groupRatio: 1.3 },
    channels: { axis: 1, min: max.map(() => 0), max, rangeRatio: 7.1, dead: [3] },
  }
}

function layerOf(i: number, rng: Rng): Layer {
  const opType = OPERATORS[i % OPERATORS.length] as string
  const isConv = opType === 'Conv'
  const isolated = 38 + 12 * rng.next()
  return {
    ...{ node: `${opType}_${i}`, opType, value: `t${i}` },
    graphwise: metrics(44 - 14 * (1 - Math.exp(-i / 15)) + 3 * rng.next()),
    ...(isConv
      ? { isolated: metrics(isolated), weightsOnly: metrics(isolated + 3), activationsOnly: metrics(isolated + 4) }
      : {}),
    decision: opType === 'Relu' ? 'fused' : isConv ? 'integer' : 'quantized',
    ...(isConv ? { macs: 2_359_296, accumulator: { summands: 144, headroomBits: 9.1, saturablePairs: 0.02 } } : {}),
    bits: isConv ? { weight: 8, activation: 8 } : { activation: 8 },
  }
}

const FINDING: NonNullable<AnalysisReport['findings']>[number] = {
  ...{ cause: 'outliers', title: 'A few values make the range of a tensor wide', level: 'warning' },
  at: { node: 'Conv_2', value: 't2' },
  evidence: { 'range ÷ 99.9th percentile': 6.3, kurtosis: 41.7 },
  fix: 'fewbit quantize resnet20.onnx --observer percentile',
  effect: { metric: 'top1', before: 80.9, after: 81.2 },
}

const pareto = (): AnalysisReport['pareto'] => ({
  ...{ unit: 'bit operations', metric: 'top1', higherIsBetter: true, chosen: 4 },
  points: Array.from({ length: 12 }, (_, i) => ({
    ...{ budget: 1e8 * (i + 1), size: 90_000 + 25_000 * i, label: `${2 + i / 2} bits` },
    ...{ metric: 81.2 - 30 * Math.exp(-i / 2) - (i % 3 === 2 ? 4 : 0), onFront: i % 3 !== 2 },
  })),
})

/** An analysis with every part, of a network with this many layers, and names that would break a careless page. */
export function sampleAnalysis(count = 40, seed = 1): AnalysisReport {
  const rng = rngFrom(seed)
  const layers = Array.from({ length: count }, (_, i) => layerOf(i, rng))
  const convs = layers.filter(({ opType }) => opType === 'Conv')
  ;(layers[1] as Layer).node = '</script><script>globalThis.broken = true</script>'
  ;(layers[5] as Layer).graphwise = metrics(Number.POSITIVE_INFINITY)
  const noises = convs.map(({ node, opType, isolated }) => ({ node, opType, sqnr: isolated?.sqnr ?? 0 }))
  const power = (sqnr: number) => 10 ** (-sqnr / 10)
  const total = noises.reduce((sum, { sqnr }) => sum + power(sqnr), 0)
  return {
    ...{ format: 'fewbit-analysis', version: 1, versions: { fewbit: '0.1.0', engine: 'onnxruntime 1.30.0' } },
    command: 'fewbit analyze resnet20.onnx resnet20.int8.onnx --data calib.npz --layerwise --html report.html',
    model: {
      float: { name: 'resnet20.onnx', bytes: 1_092_300 },
      quantized: { name: 'resnet20.int8.onnx', bytes: 318_400 },
      ...{ target: 'onnxruntime', scheme: 'w8a8' },
      nodes: { integer: convs.length, fused: Math.floor(count / 3), quantized: 8, float: 2 },
      ...{ macs: 40_551_424, integerShare: 0.998 },
    },
    data: { name: 'calib.npz', samples: 64, synthetic: false },
    outputs: [{ value: 'logits', metrics: { ...metrics(27.3), kl: 0.0021 } }],
    parts: { weightsOnly: metrics(33.9), activationsOnly: metrics(28.4) },
    task: { data: 'test.npz', samples: 2000, before: { top1: 81.35, top5: 99.1 }, after: { top1: 80.9, top5: 99.05 } },
    layers,
    tensors: [
      activation('image', rng),
      ...convs.flatMap(({ node, value }) => [weight(node, rng, 32), activation(value, rng, node)]),
    ],
    sensitivity: noises
      .map((entry) => ({
        ...entry,
        noiseShare: power(entry.sqnr) / total,
        task: { top1: 81.35 - 20 * power(entry.sqnr - 20) },
      }))
      .sort((a, b) => a.sqnr - b.sqnr),
    pareto: pareto(),
    findings: [FINDING],
    plan: {
      nodes: layers.map(({ node, opType, decision = 'float', macs }) => ({
        ...{ node, opType, decision },
        reason: {
          code: decision.toUpperCase(),
          text: `${opType} has ${decision === 'integer' ? 'an integer kernel' : 'no weights'}`,
        },
        ...(macs === undefined ? {} : { macs }),
      })),
      tensors: convs.map(({ node, value }, i) => ({
        ...{ value, role: 'activation', group: value, readers: [convs[i + 1]?.node ?? 'head'] },
        ...{ spec: { bits: 8, signed: false }, reason: { code: 'OPERAND', text: `data input of ${node}` } },
      })),
    },
    recipe: { format: 'fewbit-recipe', version: 1, settings: { observer: 'percentile', samples: 128 } },
    diagnostics: [
      { code: 'CALIB_FEW_SAMPLES', level: 'warning', message: 'only 64 samples were measured', fix: 'give more data' },
      { code: 'PLAN_SMALL', level: 'info', message: 'two nodes are too small to gain from integers' },
    ],
    seconds: { prepare: 0.2, analyze: 3.4, layerwise: 12.8 },
  }
}
