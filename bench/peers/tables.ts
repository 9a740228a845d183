import type { Comparison, Entry } from './run.ts'

const DASH = '–'
const fixed = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? DASH

/** Rows under a header in Markdown, columns padded so that the text can be read as it is. */
export function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string => `| ${cells.map((c, i) => c.padEnd(widths[i] ?? 0)).join(' | ')} |`
  return [line(header), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}

/** Task metrics, fidelity against float and size. */
export function scoreTable({ network, entries }: Comparison): string {
  const names = [...new Set(entries.flatMap((e) => Object.keys(e.scores ?? {})))]
  const digits = (name: string): number => (name === 'nll' || name === 'auc' ? 4 : 2)
  const rows = entries.map((e) => [
    e.tool,
    ...names.map((name) => fixed(e.scores?.[name], digits(name))),
    e.failure ? `failed: ${e.failure}` : String(e.bytes),
  ])
  return markdown([network, ...names, 'bytes'], rows)
}

/** What quantizing took, in a process of its own. */
export function costTable({ network, entries }: Comparison): string {
  const rows = entries
    .filter((e) => e.cost)
    .map((e) => [e.tool, fixed(e.cost?.seconds, 1), fixed(e.cost?.peakMegabytes, 0)])
  return markdown([network, 'seconds', 'peak MB'], rows)
}

/** Milliseconds per sample and, in brackets, the ratio to float. */
export function latencyTable({ network, entries }: Comparison): string {
  const float = entries[0]?.latency ?? {}
  const sizes = Object.keys(float)
  const cell = (entry: Entry, size: string): string => {
    const time = entry.latency?.[size]
    return time === undefined ? DASH : `${time.toFixed(3)} (${(time / (float[size] as number)).toFixed(2)})`
  }
  const rows = entries.filter((e) => e.latency).map((e) => [e.tool, ...sizes.map((size) => cell(e, size))])
  return markdown([network, ...sizes.map((size) => `ms per sample, batch ${size}`)], rows)
}
