/** Sums of four lanes of each of four vectors. */
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const low = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7))
  const high = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7))
  return i32x4.add(v128.shuffle<i32>(low, high, 0, 1, 4, 5), v128.shuffle<i32>(low, high, 2, 3, 6, 7))
}

/** Two rows of a by four of b. */
function tile2(a: usize, b: usize, out: usize, row: usize, next: usize): void {
  let s00 = i32x4.splat(0)
  let s01 = s00
  let s02 = s00
  let s03 = s00
  let s10 = s00
  let s11 = s00
  let s12 = s00
  let s13 = s00
  const b1 = b + row
  const b2 = b1 + row
  const b3 = b2 + row
  for (let k: usize = 0; k < row; k += 16) {
    const x0 = v128.load(a + k)
    const x1 = v128.load(a + row + k)
    const y0 = v128.load(b + k)
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(x0, y0))
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(x1, y0))
    const y1 = v128.load(b1 + k)
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(x0, y1))
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(x1, y1))
    const y2 = v128.load(b2 + k)
    s02 = i32x4.add(s02, i32x4.dot_i16x8_s(x0, y2))
    s12 = i32x4.add(s12, i32x4.dot_i16x8_s(x1, y2))
    const y3 = v128.load(b3 + k)
    s03 = i32x4.add(s03, i32x4.dot_i16x8_s(x0, y3))
    s13 = i32x4.add(s13, i32x4.dot_i16x8_s(x1, y3))
  }
  v128.store(out, sums(s00, s01, s02, s03))
  v128.store(out + next, sums(s10, s11, s12, s13))
}

/** One row of a by four of b. */
function tile1(a: usize, b: usize, out: usize, row: usize): void {
  let s0 = i32x4.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  const b1 = b + row
  const b2 = b1 + row
  const b3 = b2 + row
  for (let k: usize = 0; k < row; k += 16) {
    const x = v128.load(a + k)
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(x, v128.load(b + k)))
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(x, v128.load(b1 + k)))
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(x, v128.load(b2 + k)))
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(x, v128.load(b3 + k)))
  }
  v128.store(out, sums(s0, s1, s2, s3))
}

function single(a: usize, b: usize, row: usize): i32 {
  let s = i32x4.splat(0)
  for (let k: usize = 0; k < row; k += 16) s = i32x4.add(s, i32x4.dot_i16x8_s(v128.load(a + k), v128.load(b + k)))
  return i32x4.extract_lane(s, 0) + i32x4.extract_lane(s, 1) + i32x4.extract_lane(s, 2) + i32x4.extract_lane(s, 3)
}

/** out[i · n + j] = Σ a_i · b_j, of rows of 16-bit numbers that take `row` bytes, a multiple of 16. */
export function dots(a: usize, m: usize, b: usize, n: usize, row: usize, out: usize): void {
  const line = n << 2
  const fours = n & ~3
  for (let i: usize = 0; i < m; i += 2) {
    const x = a + i * row
    const y = out + i * line
    const two = i + 1 < m
    for (let j: usize = 0; j < fours; j += 4) {
      if (two) tile2(x, b + j * row, y + (j << 2), row, line)
      else tile1(x, b + j * row, y + (j << 2), row)
    }
    for (let j = fours; j < n; j++) {
      store<i32>(y + (j << 2), single(x, b + j * row, row))
      if (two) store<i32>(y + line + (j << 2), single(x + row, b + j * row, row))
    }
  }
}

/** The same, but neighbouring products are added in 16 bits that saturate; products fit 16 bits (`vpmaddubsw`). */
export function saturatingDots(a: usize, m: usize, b: usize, n: usize, row: usize, out: usize): void {
  for (let i: usize = 0; i < m; i++) {
    for (let j: usize = 0; j < n; j++) {
      store<i32>(out + ((i * n + j) << 2), pairwise(a + i * row, b + j * row, row))
    }
  }
}

function pairwise(a: usize, b: usize, row: usize): i32 {
  let s = i32x4.splat(0)
  for (let k: usize = 0; k < row; k += 16) {
    const products = i16x8.mul(v128.load(a + k), v128.load(b + k))
    const even = v128.shuffle<i16>(products, products, 0, 2, 4, 6, 0, 2, 4, 6)
    const odd = v128.shuffle<i16>(products, products, 1, 3, 5, 7, 1, 3, 5, 7)
    s = i32x4.add(s, i32x4.extend_low_i16x8_s(i16x8.add_sat_s(even, odd)))
  }
  return i32x4.extract_lane(s, 0) + i32x4.extract_lane(s, 1) + i32x4.extract_lane(s, 2) + i32x4.extract_lane(s, 3)
}
