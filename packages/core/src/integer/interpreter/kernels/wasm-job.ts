import type { FixedFactor, SumRule } from '../scheme.ts'
import type { WindowAxis } from '../window.ts'
import type { SumJob } from './kernels.ts'
import { type Sharing, type WorkUnits, workUnits } from './work-units.ts'

/** A job in WebAssembly's memory. */
export interface PlacedJob {
  readonly address: number
  readonly units: number
  /** Room for one thread; others follow at this distance. */
  readonly scratch: number
  readonly scratchBytes: number
  /** Copies the result out. */
  fetch(): void
}

interface Room {
  take(bytes: number): number
  readonly memory: WebAssembly.Memory
  readonly sharing: Sharing
}

/** Elements of patches that are held at a time. */
const BLOCK = 1 << 16

/** Numbers of `job.ts` in the kernels' source. */
const EXACT_RULES: Readonly<Record<string, number>> = { 'half-even': 3, 'half-away': 4, 'half-up': 5, floor: 6 }
const OTHER_RULES = { real: 0, factor: 1, 'two-factors': 2, fixed: 7 } as const
const FIXED_TIES = { up: 0, away: 1, once: 2 } as const

const isByte = (w: number): boolean => w >= -128 && w <= 127

/** Whether the kernels know the rule, and their numbers are wide enough. */
export function runsInWasm({ rule, order, weights, out, codes }: SumJob): boolean {
  if (out instanceof Int32Array || codes instanceof Int32Array || ruleNumber(rule) === undefined) return false
  if (order && !weights.every(isByte)) return false
  return rule.kind !== 'fixed' || rule.factors.every(({ shift }) => shift <= 0)
}

const ruleNumber = (rule: SumRule): number | undefined =>
  rule.kind === 'exact' ? EXACT_RULES[rule.rounding] : OTHER_RULES[rule.kind]

/** A float32 number as a field. */
const bitsOf = (x: number): number => new Int32Array(Float32Array.of(x).buffer)[0] as number

/** Writes all that a layer needs into memory. */
export function placeJob(job: SumJob, { take, memory, sharing }: Room): PlacedJob {
  const units = workUnits(job, sharing)
  const block = Math.max(1, Math.min(units.positions, Math.floor(BLOCK / job.stride) & ~3 || 4))
  const arrays = arraysOf(job)
  const places = arrays.map(({ byteLength }) => take(byteLength))
  const out = take(job.out.byteLength)
  const scratchBytes = 2 * block * job.stride + 4 * block * units.channels
  const scratch = take(scratchBytes)
  for (let i = 1; i < sharing.threads; i++) take(scratchBytes)
  const fields = fieldsOf(job, { units, block, places, out })
  const address = take(4 * fields.length)
  // Views last, because room that is asked for may move the memory.
  const bytes = new Uint8Array(memory.buffer)
  arrays.forEach((array, i) => {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), places[i] as number)
  })
  new Int32Array(memory.buffer, address, fields.length).set(fields)
  return { address, units: units.units, scratch, scratchBytes, fetch: () => fetch(job, memory, out) }
}

function fetch({ out }: SumJob, memory: WebAssembly.Memory, from: number): void {
  const made = new Uint8Array(memory.buffer, from, out.byteLength)
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(made)
}

/** In the order of their addresses in `fieldsOf`. */
function arraysOf(job: SumJob): ArrayBufferView[] {
  const { offsets, below, beside } = termsOf(job)
  const fractions = job.fractions ? spread(job.fractions, job.channels) : new Float32Array(0)
  return [job.codes, weightsOf(job), offsets, below, beside, factorsOf(job), job.bias, fractions]
}

/** One number for each channel. */
const spread = (values: Float32Array, channels: number): Float32Array =>
  values.length === channels ? values : new Float32Array(channels).fill(values[0] as number)

function factorsOf({ rule, channels }: SumJob): ArrayBufferView {
  if (rule.kind === 'exact') {
    return rule.factors.length === channels ? rule.factors : new Float64Array(channels).fill(rule.factors[0] as number)
  }
  return rule.kind === 'fixed' ? fixedFactors(rule.factors, channels) : spread(rule.factors, channels)
}

function fixedFactors(factors: readonly FixedFactor[], channels: number): Int32Array {
  const numbers = new Int32Array(2 * channels)
  for (let c = 0; c < channels; c++) {
    const { multiplier, shift, ties } = factors[factors.length > 1 ? c : 0] as FixedFactor
    numbers[2 * c] = multiplier
    numbers[2 * c + 1] = -shift | (FIXED_TIES[ties] << 8)
  }
  return numbers
}

/** Where neighbours saturate, terms stand in the order in which they meet. */
function weightsOf({ weights, order, stride, channels }: SumJob): Int16Array {
  if (!order) return weights
  const ordered = new Int16Array(weights.length)
  for (let c = 0; c < channels; c++) {
    const row = c * stride
    for (let k = 0; k < order.length; k++) ordered[row + k] = weights[row + (order[k] as number)] as number
  }
  return ordered
}

interface Terms {
  /** In bytes from the first element under the window. */
  readonly offsets: Int32Array
  readonly below: Int32Array
  readonly beside: Int32Array
}

/** Where the terms of a sum stand: channels, and in them rows and columns of the window. */
function termsOf({ codes, terms, window, order }: SumJob): Terms {
  const [v, h] = window
  const area = v.kernel * h.kernel
  const [offsets, below, beside] = [new Int32Array(terms), new Int32Array(terms), new Int32Array(terms)]
  for (let i = 0; i < terms; i++) {
    const k = order ? (order[i] as number) : i
    const [channel, place] = [Math.floor(k / area), k % area]
    const [y, x] = [Math.floor(place / h.kernel) * v.dilation, (place % h.kernel) * h.dilation]
    offsets[i] = (channel * v.size * h.size + y * h.size + x) * codes.BYTES_PER_ELEMENT
    below[i] = y
    beside[i] = x
  }
  return { offsets, below, beside }
}

interface Placement {
  readonly units: WorkUnits
  readonly block: number
  readonly places: readonly number[]
  readonly out: number
}

const isSigned = (array: ArrayBufferView): boolean => array instanceof Int8Array || array instanceof Int16Array

/** Bytes of an element, negative where it is signed. */
const typeOf = (array: SumJob['codes'] | Float32Array): number =>
  isSigned(array) ? -array.BYTES_PER_ELEMENT : array.BYTES_PER_ELEMENT

const reach = ({ kernel, dilation }: WindowAxis): number => (kernel - 1) * dilation

/** The fields of `Job` in the kernels' source. */
function fieldsOf(job: SumJob, { units, block, places, out }: Placement): number[] {
  const { codes, window, group, samples, rule } = job
  const [v, h] = window
  const [data, weights, offsets, below, beside, factors, bias, fractions] = places as readonly [number, ...number[]]
  const groupBytes = job.inputs * v.size * h.size * codes.BYTES_PER_ELEMENT
  const address = (place: number | undefined): number => place ?? 0
  return [
    ...[data, typeOf(codes), job.shift, job.fill - job.shift, group, groupBytes],
    ...[v.size, h.size, v.stride, h.stride, v.begin, h.begin, h.positions, v.positions * h.positions],
    ...[offsets, below, beside].map(address),
    ...[job.terms, reach(v), reach(h)],
    ...[address(weights), 2 * job.stride, job.channels / group, job.order ? 1 : 0, job.channelsLast ? 1 : 0],
    ...[out, typeOf(job.out), ruleNumber(rule) ?? 0, address(factors), address(bias)],
    ...[job.fractions ? address(fractions) : 0, bitsOf(rule.kind === 'two-factors' ? rule.inverse : 1)],
    ...[rule.kind === 'real' ? 0 : rule.zeroPoint, job.min, job.max],
    ...[samples * group, units.groups, units.positions, units.channels, units.positionUnits, units.channelUnits, block],
  ]
}
