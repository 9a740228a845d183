import { distance } from 'fastest-levenshtein'

/** Up to `most` of the known names that a mistyped one may stand for, nearest first; `within` is how many letters may be wrong. */
export function nearestNames(
  name: string,
  known: Iterable<string>,
  { most = 2, within = Math.max(2, name.length / 3) }: { readonly most?: number; readonly within?: number } = {},
): string[] {
  const scored = [...known].map((word) => ({ word, far: distance(name.toLowerCase(), word.toLowerCase()) }))
  return scored
    .filter(({ far }) => far <= within)
    .sort((a, b) => a.far - b.far)
    .slice(0, most)
    .map(({ word }) => word)
}

/** What to write in place of an option that does not exist. Half of a short name is no mistake, but another name. */
export function optionHint(name: string, known: readonly string[]): string {
  const [near] = nearestNames(name, known, { within: Math.min(3, name.length / 2) })
  return near === undefined ? `known options: ${known.join(', ')}` : `did you mean "${near}"?`
}
