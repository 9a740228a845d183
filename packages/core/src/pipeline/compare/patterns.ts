import type { Suspect } from './suspect.ts'

/** Share of the noise that a pattern may leave unexplained. */
const REST = 0.05

interface Values {
  readonly r: ArrayLike<number>
  readonly c: ArrayLike<number>
  /** Elements behind one channel, and the number of channels: axis 1 of images, the last one of matrices. */
  readonly inner: number
  readonly channels: number
}

function valuesOf({ reference, candidate }: Suspect): Values {
  const { dims } = reference
  const axis = dims.length === 2 || dims.length === 3 ? dims.length - 1 : 1
  const inner = dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  return { r: reference.numbers(), c: candidate.numbers(), inner, channels: dims[axis] ?? 1 }
}

const channelOf = (i: number, { inner, channels }: Values): number => Math.floor(i / inner) % channels

/** The mean difference if it explains all of it: of the whole tensor, or (largest) of channels. Ends of the range saturate and are left out. */
export function isBiased(suspect: Suspect, of: 'whole' | 'channel'): number | undefined {
  const values = valuesOf(suspect)
  const { r, c } = values
  if (of === 'channel' && (values.channels < 2 || r.length < 4 * values.channels)) return undefined
  const [lo, hi] = extent(c)
  const groups = of === 'whole' ? 1 : values.channels
  const [sum, squares, count] = [new Float64Array(groups), new Float64Array(groups), new Float64Array(groups)]
  for (let i = 0; i < r.length; i++) {
    const [x, y] = [r[i] as number, c[i] as number]
    if (y === lo || y === hi) continue
    const g = of === 'whole' ? 0 : channelOf(i, values)
    sum[g]! += y - x
    squares[g]! += (y - x) ** 2
    count[g]!++
  }
  const [total, explained] = [
    squares.reduce((a, b) => a + b, 0),
    sum.reduce((n, s, g) => n + (count[g] ? s ** 2 / count[g]! : 0), 0),
  ]
  if (!(total > 0) || explained < (1 - REST) * total) return undefined
  const means = [...sum].map((s, g) => s / Math.max(1, count[g] as number))
  return means.reduce((most, m) => (Math.abs(m) > Math.abs(most) ? m : most), 0)
}

/** k if the candidate is k times the reference. */
export function isScaled(suspect: Suspect): number | undefined {
  const [k, rest, noise] = fit(valuesOf(suspect), () => 0, 1)
  return noise > 0 && rest <= REST * noise && Math.abs((k[0] as number) - 1) > 0.01 ? k[0] : undefined
}

/** True if each channel of the candidate is some factor times the reference's. */
export function perChannel(suspect: Suspect): boolean {
  const values = valuesOf(suspect)
  if (values.channels < 2 || values.r.length < 4 * values.channels) return false
  const [, rest, noise] = fit(values, (i) => channelOf(i, values), values.channels)
  return noise > 0 && rest <= REST * noise
}

/** Least squares of one factor for each group: factors, what they leave, and what there was. */
function fit({ r, c }: Values, group: (i: number) => number, groups: number): [Float64Array, number, number] {
  const [rc, rr] = [new Float64Array(groups), new Float64Array(groups)]
  for (let i = 0; i < r.length; i++) {
    rc[group(i)]! += (r[i] as number) * (c[i] as number)
    rr[group(i)]! += (r[i] as number) ** 2
  }
  const k = rc.map((v, g) => v / (rr[g] || 1))
  let [rest, noise] = [0, 0]
  for (let i = 0; i < r.length; i++) {
    rest += ((c[i] as number) - (k[group(i)] as number) * (r[i] as number)) ** 2
    noise += ((c[i] as number) - (r[i] as number)) ** 2
  }
  return [k, rest, noise]
}

/** The reference's bound if all that differs by more than a step lies at it in the reference, and beyond it in the candidate. */
export function isCutOff(suspect: Suspect): number | undefined {
  const { r, c } = valuesOf(suspect)
  const slack = 1.5 * (suspect.step ?? 0)
  for (const [bound, sign] of [
    [extent(r)[1], 1],
    [extent(r)[0], -1],
  ] as const) {
    let [beyond, others] = [0, 0]
    for (let i = 0; i < r.length; i++) {
      const [x, y] = [r[i] as number, c[i] as number]
      if (Math.abs(y - x) <= slack) continue
      if (Math.abs(x - bound) <= slack && sign * (y - bound) > 0) beyond++
      else others++
    }
    if (beyond > 1 && others === 0) return bound
  }
  return undefined
}

/** True if all that differs lies on the border of the last two axes, and some of the inside does not. */
export function isOnBorder(suspect: Suspect): boolean {
  const { r, c } = valuesOf(suspect)
  const [height = 0, width = 0] = suspect.reference.dims.slice(-2)
  if (suspect.reference.dims.length < 4 || height < 3 || width < 3) return false
  const slack = suspect.step ? 1.5 * suspect.step : 1e-6 * Math.max(...extent(r).map(Math.abs))
  let border = 0
  for (let i = 0; i < r.length; i++) {
    if (Math.abs((c[i] as number) - (r[i] as number)) <= slack) continue
    const [y, x] = [Math.floor(i / width) % height, i % width]
    if (y > 0 && x > 0 && y < height - 1 && x < width - 1) return false
    border++
  }
  return border > 0
}

function extent(values: ArrayLike<number>): [lo: number, hi: number] {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < values.length; i++) {
    lo = Math.min(lo, values[i] as number)
    hi = Math.max(hi, values[i] as number)
  }
  return [lo, hi]
}
