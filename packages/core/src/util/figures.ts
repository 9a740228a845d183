/** Figures written for people. */

/** `1.25 MB`; powers of 1000, as file managers and disks count. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB']
  let unit = 0
  let value = n
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`
}

/** `349 M`, `1.24 G`. */
export function count(n: number): string {
  if (n < 10_000) return String(n)
  const units = ['', ' k', ' M', ' G', ' T']
  const unit = Math.min(units.length - 1, Math.floor(Math.log10(n) / 3))
  const value = n / 1000 ** unit
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)}${units[unit]}`
}

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`
export const decibel = (db: number, digits = 1): string =>
  Number.isFinite(db) ? `${db.toFixed(digits)} dB` : db > 0 ? 'exact' : '-∞ dB'
/** The time of one run: `12.3 µs`, `4.56 ms`, `1.20 s`. */
export function duration(s: number): string {
  const [value, unit] = s < 1e-3 ? [1e6 * s, 'µs'] : s < 1 ? [1e3 * s, 'ms'] : [s, 's']
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`
}

export const seconds = (s: number): string => (s < 1 ? `${(1000 * s).toFixed(0)} ms` : `${s.toFixed(1)} s`)

/** How long to wait: `45 s`, `12 min`, `1.7 h`. */
export function timeLeft(s: number): string {
  if (s < 90) return `${Math.ceil(s)} s`
  return s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`
}

/** A figure with the precision that its size deserves. */
export function figure(x: number): string {
  if (!Number.isFinite(x)) return String(x)
  const magnitude = Math.abs(x)
  return magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e5)
    ? x.toExponential(2)
    : String(Number(x.toPrecision(4)))
}
