import { z } from 'zod'
import { problem } from '../util/index.ts'
import { analysisLayer, outputMetrics, real, shareOfUnit, text } from './report-layer-schema.ts'
import { tensorReport } from './report-tensor-schema.ts'

const count = z.int().nonnegative()
const place = z.strictObject({ node: text.optional(), value: text.optional() })
const scores = z.record(text, real)

/** One cause of lost accuracy that was looked for and found. */
const finding = z.strictObject({
  /** Stable name of the cause. */
  cause: text,
  title: text,
  level: z.enum(['info', 'warning', 'error']),
  at: place,
  /** The figures that speak for it. */
  evidence: z.record(text, z.union([real, text])),
  /** What to do, in words or as options of the program. */
  fix: text,
  /** What the remedy did when it was tried. */
  effect: z.strictObject({ metric: text, before: real, after: real }).optional(),
})

const pareto = z.strictObject({
  /** What `budget` counts, such as bytes of weights or bit operations. */
  unit: text,
  /** Name of the figure on the other axis. */
  metric: text,
  higherIsBetter: z.boolean(),
  points: z.array(
    z.strictObject({
      budget: z.number(),
      /** Bytes of the model. */
      size: z.number(),
      metric: real,
      /** What was expected before the network was made: the sum of what its layers cost by themselves. */
      predicted: real.optional(),
      label: text.optional(),
      /** Bits of each node's weights. */
      bits: z.record(text, z.number()).optional(),
      /** No other point is both smaller and better. */
      onFront: z.boolean().optional(),
    }),
  ),
  /** Index of the point that was taken. */
  chosen: count.optional(),
})

const sensitivity = z.strictObject({
  node: text,
  opType: text,
  /** Of the network's outputs when only this layer is quantized. */
  sqnr: real,
  /** Part of the noise of all layers measured alone: noise of this one ÷ sum of all. */
  noiseShare: shareOfUnit,
  /** Score of the network when only this layer is quantized, by metric name. */
  task: scores.optional(),
  /** Nodes that share a scale or a weight with it, and so were measured with it. */
  others: z.array(text).optional(),
  /** Of the outputs, with only this layer quantized, in each scheme that was tried. */
  choices: z.record(text, z.strictObject({ sqnr: real, kl: real.optional() })).optional(),
  /** The scheme that it was given. */
  chosen: text.optional(),
})

const planReport = z.strictObject({
  nodes: z.array(
    z.looseObject({
      node: text,
      opType: text,
      decision: z.enum(['integer', 'fused', 'quantized', 'float']),
      reason: z.strictObject({ code: text, text }),
      macs: z.number().optional(),
    }),
  ),
  /** As in a `fewbit-plan`, without parameters: these stand in `tensors` of the report. */
  tensors: z.array(
    z.looseObject({
      value: text,
      role: z.enum(['activation', 'weight', 'bias', 'fill']),
      group: text,
      readers: z.array(text),
      reason: z.strictObject({ code: text, text }),
    }),
  ),
})

const modelSummary = z.strictObject({
  /** Names of files, or of networks in memory. */
  float: z.strictObject({ name: text, bytes: count }),
  quantized: z.strictObject({ name: text, bytes: count }),
  target: text,
  scheme: text,
  nodes: z.strictObject({ integer: count, fused: count, quantized: count, float: count }),
  /** Multiply-accumulates of one sample; of nodes whose shapes are known. */
  macs: z.number(),
  /** Share of them in integers; absent where no count is known. */
  integerShare: shareOfUnit.optional(),
})

/** A document on what quantization did to a network. Whatever was not measured is absent. */
export const analysisSchema = z.strictObject({
  format: z.literal('fewbit-analysis'),
  version: z.literal(1),
  /** The command that writes this document again. */
  command: text.optional(),
  versions: z.strictObject({ fewbit: text, engine: text }),
  /** Absent where the second model is not quantized, or its quantization could not be read. */
  model: modelSummary.optional(),
  data: z.strictObject({ name: text, samples: count, synthetic: z.boolean() }),
  /** Error of the network's outputs, float against quantized. */
  outputs: z.array(z.strictObject({ value: text, metrics: outputMetrics })),
  /** The whole network with weights (and biases) or activations quantized only: which of the two the error comes from. */
  parts: z.strictObject({ weightsOnly: outputMetrics, activationsOnly: outputMetrics }).optional(),
  /** Scores on data with labels, by metric name in the metric's unit. */
  task: z.strictObject({ data: text, samples: count, before: scores, after: scores }).optional(),
  /** In graph order. */
  layers: z.array(analysisLayer),
  tensors: z.array(tensorReport).optional(),
  /** Most sensitive first. */
  sensitivity: z.array(sensitivity).optional(),
  pareto: pareto.optional(),
  findings: z.array(finding).optional(),
  plan: planReport.optional(),
  /** As stored in the quantized file. */
  recipe: z.record(text, z.unknown()).optional(),
  diagnostics: z.array(z.looseObject({ code: text, level: z.enum(['info', 'warning', 'error']), message: text })),
  /** Wall time of each stage. */
  seconds: z.record(text, z.number()).optional(),
})

export type AnalysisReport = z.infer<typeof analysisSchema>
export type AnalysisFinding = z.infer<typeof finding>
export type ParetoReport = z.infer<typeof pareto>
export type SensitivityEntry = z.infer<typeof sensitivity>

/** The document as JSON text. Infinities and NaN, which JSON lacks, become the strings that `parseAnalysis` reads back. */
export const analysisJson = (report: AnalysisReport, indent = 2): string =>
  JSON.stringify(report, (_, v) => (typeof v === 'number' && !Number.isFinite(v) ? String(v) : v), indent)

/**
 * Reads the document.
 * @throws FewbitError ANALYSIS_FORMAT for anything that is no such document; ANALYSIS_VERSION for one of another version.
 */
export function parseAnalysis(json: string, file?: string): AnalysisReport {
  const at = file === undefined ? {} : { at: { file } }
  const value = readJson(json)
  const head = z.looseObject({ format: z.literal('fewbit-analysis'), version: z.number() }).safeParse(value)
  if (head.success && head.data.version !== 1) {
    throw problem(
      'ANALYSIS_VERSION',
      `the analysis is of version ${head.data.version}, and this fewbit reads version 1`,
      {
        ...at,
        fix: 'run fewbit analyze --json again with this fewbit',
      },
    )
  }
  const parsed = analysisSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const notes = parsed.error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.join('.') || 'analysis'}: ${message}`)
  throw problem('ANALYSIS_FORMAT', 'this is not an analysis', {
    ...at,
    notes: head.success ? notes : [],
    fix: 'give a document that fewbit analyze --json wrote',
  })
}

function readJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
