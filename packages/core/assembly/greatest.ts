/**
 * The greatest code of 8 bits along one axis of [outer, size, inner], under each of `positions` windows; every window sees something.
 * @param begin elements of padding before the first.
 */
export function greatest(
  from: usize,
  to: usize,
  outer: i32,
  size: i32,
  inner: i32,
  kernel: i32,
  stride: i32,
  dilation: i32,
  begin: i32,
  positions: i32,
  isSigned: i32,
): void {
  for (let p = 0; p < positions; p++) {
    let first = p * stride - begin
    const end = min(size, first + (kernel - 1) * dilation + 1)
    while (first < 0) first += dilation
    for (let o = 0; o < outer; o++) {
      const start = from + (o * size + first) * inner
      const stop = from + (o * size + end) * inner
      const out = to + (o * positions + p) * inner
      if (isSigned) line<i8>(start, stop, inner, dilation * inner, out)
      else line<u8>(start, stop, inner, dilation * inner, out)
    }
  }
}

/** Of lines of `inner` codes, `step` apart. */
function line<T>(from: usize, end: usize, inner: i32, step: i32, out: usize): void {
  if (inner < 16) {
    for (let i = 0; i < inner; i++) {
      let most = load<T>(from + i)
      for (let at = from + i + step; at < end; at += step) most = max(most, load<T>(at))
      store<T>(out + i, most)
    }
    return
  }
  for (let i = 0; i < inner; i += 16) {
    // The last vector goes back, over codes that are done.
    const x = min(i, inner - 16)
    let most = v128.load(from + x)
    for (let at = from + x + step; at < end; at += step) most = v128.max<T>(most, v128.load(at))
    v128.store(out + x, most)
  }
}
