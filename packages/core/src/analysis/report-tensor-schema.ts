import { z } from 'zod'
import { real, shareOfUnit, text } from './report-layer-schema.ts'

/** Bars of equal width: bar i counts the elements in [edges[i], edges[i + 1]). At most 128 bars. */
const histogram = z.strictObject({ edges: z.array(z.number()).max(129), counts: z.array(z.number()).max(128) })

const quantization = z.strictObject({
  bits: z.int(),
  signed: z.boolean(),
  symmetric: z.boolean(),
  quantMin: z.number(),
  quantMax: z.number(),
  granularity: z.enum(['tensor', 'channel', 'group']),
  /** Of channels and groups. */
  axis: z.int().optional(),
  /** Elements of a group. */
  groupSize: z.int().optional(),
  /** Name of a format other than integers. */
  format: text.optional(),
  /** One for each tensor or channel; of groups at most 1024. */
  scale: z.array(z.number()),
  zeroPoint: z.array(z.number()),
  /** How many scales there are. */
  scales: z.int(),
  /** The interval that the codes cover, over all channels. */
  lo: real,
  hi: real,
})

/** Minima and maxima along an axis. */
const channels = z.strictObject({
  axis: z.int(),
  min: z.array(z.number()),
  max: z.array(z.number()),
  /** Largest ÷ smallest range of the channels that are not constant; what one scale for all of them has to bridge. */
  rangeRatio: real,
  /** Channels that hold one value only: activations that never change, weights that are zero. */
  dead: z.array(z.int()),
})

/** Distribution of one quantized tensor in float, and what its codes make of it. */
export const tensorReport = z.strictObject({
  value: text,
  role: z.enum(['activation', 'weight', 'bias', 'fill']),
  /** The node that makes an activation, or reads a constant; absent for the network's inputs. */
  layer: text.optional(),
  dims: z.array(z.int()).optional(),
  count: real,
  min: real,
  max: real,
  mean: real,
  std: real,
  /** Third standardized moment; 0 for a symmetric distribution. */
  skew: real,
  /** Fourth standardized moment: 3 for a normal distribution, 1.8 for a uniform one; large for outliers. */
  kurtosis: real,
  histogram,
  quantization: quantization.optional(),
  /** Share of the elements outside of the interval that the codes cover, half a step added. */
  saturated: shareOfUnit.optional(),
  /** Share of the elements whose code stands for zero. */
  zeros: shareOfUnit.optional(),
  channels: channels.optional(),
  /** Range of the sharing group ÷ range of this tensor alone, at least 1: what sharing costs it. */
  groupRatio: real.optional(),
  /** Of biases: largest |code| ÷ 2^31; beyond 1 it overflows. */
  biasReach: real.optional(),
})

export type TensorReport = z.infer<typeof tensorReport>
