import { problem, wildcard } from '../util/index.ts'

/** Patterns of names in a file, and what they are called in the model: `{ 'module.*': '*', 'linear.*': 'fc.*' }`. */
export type NameMap = Readonly<Record<string, string>>

/**
 * A function from names in a file to names in a model. The first pattern that fits a name decides; what fits none keeps its name. A `*` stands for
 * any text, and those of the new name take the texts of the old one in order.
 * @throws FewbitError WEIGHTS_MAP where a new name has more `*` than its pattern.
 */
export function renamer(map: NameMap): (name: string) => string {
  const rules = Object.entries(map).map(([pattern, to]) => {
    const [from, into] = [pattern.split('*'), to.split('*')]
    if (into.length > from.length) {
      throw problem('WEIGHTS_MAP', `"${to}" takes more from a name than "${pattern}" gives`, {
        at: { option: 'map' },
        fix: 'write no more * on the right side than on the left one',
      })
    }
    return { pattern: wildcard(pattern), into }
  })
  return (name) => {
    for (const { pattern, into } of rules) {
      const found = pattern.exec(name)
      if (found) return into.map((text, i) => (i === 0 ? text : (found[i] ?? '') + text)).join('')
    }
    return name
  }
}
