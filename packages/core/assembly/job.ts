/** How sums become results; `ruleNumber` in `wasm-job.ts` gives the same numbers. */
export const REAL: i32 = 0
export const FACTOR_HALF_EVEN: i32 = 1
export const TWO_FACTORS: i32 = 2
export const SHIFT_HALF_EVEN: i32 = 3
export const SHIFT_HALF_AWAY: i32 = 4
export const SHIFT_HALF_UP: i32 = 5
export const SHIFT_FLOOR: i32 = 6
export const FIXED: i32 = 7

/**
 * One layer that sums products over windows. Written by `wasm-job.ts`, field by field, 32 bits each.
 * Work is numbered by units: blocks of groups, in them blocks of positions, in them blocks of channels.
 */
@unmanaged
export class Job {
  /** Address of the data, and bytes of an element, negative where it is signed. */
  codes: usize
  codeType: i32
  /** Subtracted from every code. */
  shift: i32
  /** What is seen outside of the data, less the shift. */
  fill: i32
  group: i32
  /** Bytes of the channels of one group, of the data. */
  groupBytes: i32
  height: i32
  width: i32
  strideY: i32
  strideX: i32
  top: i32
  left: i32
  /** Positions of the window along x, and all. */
  across: i32
  plane: i32
  /** For each term of a sum: offset in bytes from the window's first element, rows below and columns beside it. */
  offsets: usize
  below: usize
  beside: usize
  terms: i32
  /** Most rows below and columns beside. */
  reachY: i32
  reachX: i32
  /** Rows of weights, as `Rows` holds them. */
  weights: usize
  rowBytes: i32
  /** Output channels of one group. */
  channels: i32
  /** Neighbouring products are added in 16 bits that saturate. */
  saturates: i32
  /** Results of one position stand side by side. */
  channelsLast: i32
  out: usize
  outType: i32
  rule: i32
  /** Of each channel: a float32 factor, a float64 ratio, or an int32 multiplier and a shift with its ties. */
  factors: usize
  bias: usize
  /** Of biases, float32, or 0. */
  fractions: usize
  /** The second factor, where there are two. */
  inverse: f32
  zeroPoint: i32
  min: i32
  max: i32
  /** Groups of all samples. */
  groups: i32
  /** Sizes of a unit, and how many units there are along each. */
  groupsPerUnit: i32
  positionsPerUnit: i32
  channelsPerUnit: i32
  positionUnits: i32
  channelUnits: i32
  /** Positions whose patches are held at a time. */
  block: i32
}
