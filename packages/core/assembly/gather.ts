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
  for (let p = 0; p < count; p++) {
    const top = y * job.strideY - job.top
    const left = x * job.strideX - job.left
    const from = base + (top * job.width + left) * <i32>sizeof<T>()
    const isInside = top >= 0 && left >= 0 && top + job.reachY < job.height && left + job.reachX < job.width
    if (isInside) inside<T>(job, from, rows)
    else atEdge<T>(job, from, top, left, rows)
    rows += rowBytes
    if (++x === job.across) {
      x = 0
      y++
    }
  }
}

function inside<T>(job: Job, from: usize, to: usize): void {
  const shift = job.shift
  const offsets = job.offsets
  const terms = job.terms
  for (let k = 0; k < terms; k++) {
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
