import { problem } from '@fewbit/core/util'

/** A file's label as class index: integers as they are, other names by their place in the sorted list of names. */
export function labelIndex(names: Iterable<string>): (name: string) => number {
  const distinct = [...new Set(names)].sort()
  if (distinct.every((name) => /^\d+$/.test(name))) return Number
  const index = new Map(distinct.map((name, i) => [name, i]))
  return (name) => index.get(name) ?? -1
}

/**
 * Reads `labels.csv`: file and label on each line, separated by a comma or semicolon, quotes allowed, a head line optional.
 * @throws FewbitError DATA_LABELS for a line without two fields.
 */
export function parseLabels(text: string, file: string): { file: string; label: string }[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const rows = lines.flatMap((line, i) => (line.trim() === '' ? [] : [splitLine(line, i + 1, file)]))
  if (rows[0] && /^(file|filename|image|path|name)$/i.test(rows[0].file)) rows.shift()
  return rows
}

function splitLine(line: string, number: number, file: string): { file: string; label: string } {
  const match = /^\s*(?:"([^"]*)"|([^,;"]*))\s*[,;]\s*(?:"([^"]*)"|([^,;"]*))/.exec(line)
  const name = (match?.[1] ?? match?.[2])?.trim()
  const label = (match?.[3] ?? match?.[4])?.trim()
  if (!name || !label) {
    throw problem('DATA_LABELS', `line ${number} is not "file,label": ${line.slice(0, 80)}`, {
      at: { file },
      fix: 'write one line for each image: its path, a comma, its class',
    })
  }
  return { file: name, label }
}
