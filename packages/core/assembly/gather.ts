import { Job } from './job'

/** What the windows at `count` positions from `first` on see, a row for each. */
export function gather(job: Job, base: usize, first: i32, count: i32, rows: usize): void {
  const type = job.codeType
  if (type === 1) patches<u8>(job, base, first, count, rows)
  else if (type === -1) patches<i8>(job, base, first, count, rows)
  else if (type === 2) patches<u16>(job, base, first, count, rows)
  else patches<i16>(job, base, first, count, rows)
}

function patches<T>(job: Job, base: usize, first: i32, count: i32, rows: usize): void {
  const rowBytes = job.rowBytes
  let y = first / job.across
  let x = first - y * job.across
  const isDense = job.strideX === 1
  for (let p = 0; p < count; ) {
    const top = y * job.strideY - job.top
    const left = x * job.strideX - job.left
    const from = base + (top * job.width + left) * <i32>sizeof<T>()
    const isInside = top >= 0 && left >= 0 && top + job.reachY < job.height && left + job.reachX < job.width
    const run = min(min(count - p, job.across - x), job.width - job.reachX - left)
    let done = 1
    if (isInside && isDense && run >= 8) {
      eightInside<T>(job, from, rows)
      done = 8
    } else if (isInside) {
      inside<T>(job, from, rows, 0)
    } else {
      atEdge<T>(job, from, top, left, rows)
    }
    rows += done * rowBytes
    p += done
    x += done
    if (x === job.across) {
      x = 0
      y++
    }
  }
}

/** Eight positions side by side, four terms at a time: what stands beside one another in the data goes to rows below one another. */
function eightInside<T>(job: Job, from: usize, to: usize): void {
  const row = <usize>job.rowBytes
  const shift = i16x8.splat(<i16>job.shift)
  const fours = job.terms & ~3
  for (let k = 0; k < fours; k += 4) {
    const at = job.offsets + (k << 2)
    const a = eight<T>(from + load<i32>(at), shift)
    const b = eight<T>(from + load<i32>(at, 4), shift)
    const c = eight<T>(from + load<i32>(at, 8), shift)
    const d = eight<T>(from + load<i32>(at, 12), shift)
    const abLow = v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
    const abHigh = v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
    const cdLow = v128.shuffle<i16>(c, d, 0, 8, 1, 9, 2, 10, 3, 11)
    const cdHigh = v128.shuffle<i16>(c, d, 4, 12, 5, 13, 6, 14, 7, 15)
    const out = to + (k << 1)
    two(out, row, v128.shuffle<i32>(abLow, cdLow, 0, 4, 1, 5))
    two(out + 2 * row, row, v128.shuffle<i32>(abLow, cdLow, 2, 6, 3, 7))
    two(out + 4 * row, row, v128.shuffle<i32>(abHigh, cdHigh, 0, 4, 1, 5))
    two(out + 6 * row, row, v128.shuffle<i32>(abHigh, cdHigh, 2, 6, 3, 7))
  }
  if (fours === job.terms) return
  for (let p: usize = 0; p < 8; p++) inside<T>(job, from + p * sizeof<T>(), to + p * row, fours)
}

function eight<T>(from: usize, shift: v128): v128 {
  const codes = sizeof<T>() === 1 ? v128.load_ext<T>(from) : v128.load(from)
  return i16x8.sub(codes, shift)
}

/** Four terms of each of two rows. */
function two(to: usize, row: usize, terms: v128): void {
  v128.store_lane<i64>(to, terms, 0)
  v128.store_lane<i64>(to + row, terms, 1)
}

/** One position, from a term on. */
function inside<T>(job: Job, from: usize, to: usize, first: i32): void {
  const shift = job.shift
  const offsets = job.offsets
  const terms = job.terms
  for (let k = first; k < terms; k++) {
    store<i16>(to + (k << 1), <i16>(<i32>load<T>(from + load<i32>(offsets + (k << 2))) - shift))
  }
}

function atEdge<T>(job: Job, from: usize, top: i32, left: i32, to: usize): void {
  const shift = job.shift
  for (let k = 0; k < job.terms; k++) {
    const at = k << 2
    const y = top + load<i32>(job.below + at)
    const x = left + load<i32>(job.beside + at)
    const isThere = y >= 0 && y < job.height && x >= 0 && x < job.width
    const code = isThere ? <i32>load<T>(from + load<i32>(job.offsets + at)) - shift : job.fill
    store<i16>(to + (k << 1), <i16>code)
  }
}
