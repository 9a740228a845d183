import type { Node } from '../../../ir/index.ts'

/** The attributes that are numbers. */
export function numbersOf(node: Node): Record<string, number> {
  return Object.fromEntries(
    [...node.attributes].flatMap(([name, a]) => {
      if (a.kind === 'float') return [[name, a.value]]
      return a.kind === 'int' ? [[name, Number(a.value)]] : []
    }),
  )
}
