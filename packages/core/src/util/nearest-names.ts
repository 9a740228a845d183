import { distance } from 'fastest-levenshtein'

/** Up to `most` of the known names that a mistyped one may stand for, nearest first: within a third of its letters. */
export function nearestNames(name: string, known: Iterable<string>, most = 2): string[] {
  const limit = Math.max(2, name.length / 3)
  const scored = [...known].map((word) => ({ word, far: distance(name.toLowerCase(), word.toLowerCase()) }))
  return scored
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far)
    .slice(0, most)
    .map(({ word }) => word)
}
