import { z } from 'zod'

export const text = z.string()
/** A figure. JSON has no infinities and no NaN: they are written as strings, and numbers again once read. */
export const real = z.union([z.number(), z.enum(['Infinity', '-Infinity', 'NaN']).transform(Number)])
/** 0 to 1; NaN where a broken network makes it. */
export const shareOfUnit = z.union([z.number().min(0).max(1), z.literal('NaN').transform(Number)])

/** Error of a tensor against its float self. `sqnr` in dB, Infinity where nothing differs. */
export const errorMetrics = z.strictObject({ sqnr: real, cosine: real, mse: real, maxAbs: real, count: real })

/** The same of the network's outputs. */
export const outputMetrics = errorMetrics.extend({
  /** Mean Kullback-Leibler divergence, in nats, of the class probabilities, float from quantized: where outputs are class scores. */
  kl: real.optional(),
})

const accumulator = z.strictObject({
  /** Products that are added into one output. */
  summands: z.int(),
  /** log2(2^31 / largest possible sum), bits that are left in int32; negative: it can overflow. */
  headroomBits: real,
  /**
   * Share of the pairs of neighbouring products whose sum can leave int16: what x86 without VNNI adds first, and saturates. 8-bit
   * weights with unsigned activations only.
   */
  saturablePairs: shareOfUnit.optional(),
})

/** One node, with the tensor that it makes. */
export const analysisLayer = z.strictObject({
  node: text,
  opType: text,
  /** The tensor that is compared. */
  value: text,
  /** Of this tensor, everything quantized: the errors of all layers before are in it. */
  graphwise: errorMetrics.optional(),
  /** Of the network's outputs, with only this layer quantized: its weights, biases, inputs and results. */
  isolated: outputMetrics.optional(),
  /** The same with only the layer's weights and biases quantized. */
  weightsOnly: outputMetrics.optional(),
  /** The same with only its inputs and results quantized. */
  activationsOnly: outputMetrics.optional(),
  decision: z.enum(['integer', 'fused', 'quantized', 'float']).optional(),
  /** Multiply-accumulates of one sample. */
  macs: z.number().optional(),
  /** Of the quantized tensors around the node; absent where there are none. */
  bits: z.strictObject({ weight: z.int().optional(), activation: z.int().optional() }).optional(),
  accumulator: accumulator.optional(),
})

export type AnalysisLayer = z.infer<typeof analysisLayer>
export type OutputMetrics = z.infer<typeof outputMetrics>
export type AccumulatorReport = z.infer<typeof accumulator>
