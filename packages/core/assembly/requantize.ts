import { FACTOR_HALF_EVEN, FIXED, Job, REAL, SHIFT_HALF_AWAY, SHIFT_HALF_EVEN, SHIFT_HALF_UP, TWO_FACTORS } from './job'

/**
 * Sums to results, side by side.
 * @param channel of the first sum.
 * @param step 1 where each sum has the next channel, 0 where all have the same.
 */
export function requantize(job: Job, sums: usize, count: i32, channel: i32, step: i32, out: usize): void {
  const type = job.outType
  let i = 0
  if (job.rule === FACTOR_HALF_EVEN && (type === 1 || type === -1)) {
    i = count & ~3
    byFours(job, sums, i, channel, step, out)
  }
  const bytes = type < 0 ? -type : type
  for (; i < count; i++) {
    const c = channel + i * step
    const sum = load<i32>(sums + (i << 2)) + load<i32>(job.bias + (c << 2))
    const to = out + i * bytes
    if (job.rule === REAL) store<f32>(to, real(job, sum, c))
    else if (bytes === 1) store<i8>(to, <i8>code(job, sum, c))
    else store<i16>(to, <i16>code(job, sum, c))
  }
}

/** Vectors of four sums, by float32 factors, rounded half to even, to codes of 8 bits. */
function byFours(job: Job, sums: usize, count: i32, channel: i32, step: i32, out: usize): void {
  const low = f32x4.splat(<f32>(job.min - job.zeroPoint))
  const high = f32x4.splat(<f32>(job.max - job.zeroPoint))
  const zero = i32x4.splat(ROUNDING_BITS - job.zeroPoint)
  const isSigned = job.outType < 0
  const sixteens = count & ~15
  let i = 0
  for (; i < sixteens; i += 16) {
    const at = sums + (i << 2)
    const c = channel + i * step
    const a = four(job, at, c, step, low, high, zero)
    const b = four(job, at + 16, c + 4 * step, step, low, high, zero)
    const d = four(job, at + 32, c + 8 * step, step, low, high, zero)
    const e = four(job, at + 48, c + 12 * step, step, low, high, zero)
    const left = i16x8.narrow_i32x4_s(a, b)
    const right = i16x8.narrow_i32x4_s(d, e)
    v128.store(out + i, isSigned ? i8x16.narrow_i16x8_s(left, right) : i8x16.narrow_i16x8_u(left, right))
  }
  for (; i < count; i += 4) {
    const codes = four(job, sums + (i << 2), channel + i * step, step, low, high, zero)
    // The lowest byte of each lane.
    store<i32>(out + i, i32x4.extract_lane(v128.swizzle(codes, LOWEST_BYTES), 0))
  }
}

/** Float32 numbers near 1.5 · 2^23 are whole: adding it rounds half to even, and leaves the code in the lowest bits. */
const ROUNDING: f32 = 12582912
const ROUNDING_BITS: i32 = 0x4b400000

function four(job: Job, sums: usize, c: i32, step: i32, low: v128, high: v128, zero: v128): v128 {
  const at = c << 2
  const bias = job.bias
  const factors = job.factors
  const fractions = job.fractions
  const added = step ? v128.load(bias + at) : v128.load32_splat(bias + at)
  const factor = step ? v128.load(factors + at) : v128.load32_splat(factors + at)
  let x = f32x4.convert_i32x4_s(i32x4.add(v128.load(sums), added))
  if (fractions) x = f32x4.add(x, step ? v128.load(fractions + at) : v128.load32_splat(fractions + at))
  // Cut first: the ends are whole, so that rounding keeps them.
  const cut = f32x4.pmax(low, f32x4.pmin(high, f32x4.mul(x, factor)))
  return i32x4.sub(f32x4.add(cut, f32x4.splat(ROUNDING)), zero)
}

const LOWEST_BYTES = i8x16(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

function real(job: Job, sum: i32, c: i32): f32 {
  let x = <f32>sum
  if (job.fractions) x += load<f32>(job.fractions + (c << 2))
  return x * load<f32>(job.factors + (c << 2))
}

function code(job: Job, sum: i32, c: i32): i32 {
  const zero = <f64>job.zeroPoint
  const value = job.rule === FIXED ? <f64>fixed(job, sum, c) : rounded(job, sum, c)
  const raw = value + zero
  return <i32>Math.max(<f64>job.min, Math.min(<f64>job.max, raw))
}

function rounded(job: Job, sum: i32, c: i32): f64 {
  const rule = job.rule
  if (rule === FACTOR_HALF_EVEN) return nearest<f64>(<f64>real(job, sum, c))
  if (rule === TWO_FACTORS) return <f64>halfAdded(real(job, sum, c) * job.inverse)
  const exact = <f64>sum * load<f64>(job.factors + (c << 3))
  if (rule === SHIFT_HALF_EVEN) return nearest<f64>(exact)
  if (rule === SHIFT_HALF_AWAY) return halfAway(exact)
  return rule === SHIFT_HALF_UP ? halfUp(exact) : floor<f64>(exact)
}

/** Half is added in float32, which lifts what lies just below a tie, and digits are cut off. */
function halfAdded(x: f32): f32 {
  return trunc<f32>(x + (x < 0 ? -0.5 : 0.5))
}

// Doubling, halving, floor and ceil are exact.
function halfUp(x: f64): f64 {
  return ceil<f64>(floor<f64>(2 * x) / 2)
}

function halfAway(x: f64): f64 {
  return x < 0 ? floor<f64>(ceil<f64>(2 * x) / 2) : halfUp(x)
}

/** A multiplier of 31 bits and a shift to the right: rounded once, or after each, halves of the second up or away from zero. */
function fixed(job: Job, sum: i32, c: i32): i64 {
  const at = job.factors + (c << 3)
  const product = <i64>sum * <i64>load<i32>(at)
  const shift = <i64>load<u8>(at + 4)
  const ties = load<u8>(at + 5)
  if (ties === ONCE) return (product + ((<i64>1) << (30 + shift))) >> (31 + shift)
  const high = (product + ((<i64>1) << 30)) >> 31
  if (shift === 0) return high
  const half = (<i64>1) << (shift - 1)
  if (ties === UP || high >= 0) return (high + half) >> shift
  return -((-high + half) >> shift)
}

/** `FIXED_TIES` in `wasm-job.ts`. */
const UP: u8 = 0
const ONCE: u8 = 2
