import type { Dim, Shape } from '../../ir/index.ts'
import type { string } from '../attrs.ts'
import type { InferContext } from '../define-op.ts'
import { dimsConflict, unifyDims } from './dims.ts'

export type EinsumAttrs = { equation: ReturnType<typeof string> }

export interface EinsumPlan {
  /** Labels of each input's axes. */
  readonly inputs: readonly (readonly string[])[]
  readonly output: readonly string[]
  readonly sizes: ReadonlyMap<string, Dim>
}

/** Labels of the output and the size of every label; undefined while the rank of an input is unknown. */
export function einsumPlan(cx: InferContext<EinsumAttrs>): EinsumPlan | undefined {
  const [left = '', right] = cx.attrs.equation.replace(/\s/g, '').split('->')
  const terms = left.split(',')
  if (terms.length !== cx.inputCount) cx.mismatch(`"${cx.attrs.equation}" does not name ${cx.inputCount} inputs`)
  const sizes = new Map<string, Dim>()
  const labels: (readonly string[])[] = []
  for (const [i, term] of terms.entries()) {
    const shape = cx.input(i)?.shape
    if (!shape) return undefined
    labels.push(expand(term, shape.length))
    if (labels[i]?.length !== shape.length) cx.mismatch(`"${term}" does not fit rank ${shape.length}`)
    measure(cx, sizes, labels[i] ?? [], shape)
  }
  const ellipsis = [...sizes.keys()]
    .filter((label) => label.startsWith('.'))
    .sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)))
  const output = right === undefined ? implicitOutput(labels.flat(), ellipsis) : splice(right, ellipsis)
  return { inputs: labels, output, sizes }
}

/** Axes under an ellipsis are labelled from the right (`.0` is the last), because they broadcast. */
function expand(term: string, rank: number): readonly string[] {
  const hidden = rank - term.replace('...', '').length
  return splice(
    term,
    Array.from({ length: Math.max(0, hidden) }, (_, i) => `.${hidden - 1 - i}`),
  )
}

const splice = (term: string, ellipsis: readonly string[]): string[] =>
  term.includes('...') ? [...(term.split('...')[0] ?? ''), ...ellipsis, ...(term.split('...')[1] ?? '')] : [...term]

function measure(cx: InferContext, sizes: Map<string, Dim>, labels: readonly string[], shape: Shape): void {
  labels.forEach((label, axis) => {
    const size = shape[axis] ?? null
    const known = sizes.has(label) ? (sizes.get(label) ?? null) : 1
    if (known !== 1 && size !== 1 && dimsConflict(known, size)) cx.mismatch(`label "${label}" is ${known} and ${size}`)
    sizes.set(label, known === 1 ? size : size === 1 ? known : unifyDims(known, size))
  })
}

/** Without an arrow: the ellipsis, then the labels that occur once, in alphabetical order. */
function implicitOutput(labels: readonly string[], ellipsis: readonly string[]): string[] {
  const once = [...new Set(labels)].filter((a) => !a.startsWith('.') && labels.filter((b) => a === b).length === 1)
  return [...ellipsis, ...once.sort()]
}
