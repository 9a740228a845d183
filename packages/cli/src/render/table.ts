import Table from 'cli-table3'

export type Align = 'left' | 'right'

const PLAIN = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right', 'left', 'left-mid']
    .concat(['mid', 'mid-mid', 'right', 'right-mid'])
    .map((name) => [name, '']),
)

/** Columns without borders, two spaces apart. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly Align[] = [],
): string {
  const view = new Table({
    ...(head.length > 0 ? { head: [...head] } : {}),
    chars: { ...PLAIN, middle: '  ' },
    colAligns: head.length > 0 ? head.map((_, i) => align[i] ?? 'left') : [...align],
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  view.push(...rows.map((row) => [...row]))
  return view
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
