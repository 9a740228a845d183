import {
  asTensor,
  dependencies,
  GraphBuilder,
  isStatic,
  type Model,
  type Node,
  sameShape,
  type Value,
} from '../ir/index.ts'
import {
  GradBuilder,
  type GradContext,
  inferContext,
  nodeLabel,
  type OpDef,
  type OpRegistry,
  type ValueFacts,
  versionIn,
} from '../ops/index.ts'
import { inferFacts } from '../passes/index.ts'
import { invariant, must, problem } from '../util/index.ts'
import { valuesBetween } from './path.ts'

/** One backward sweep over a graph: from the loss to what it depends on, adding up what comes together. */
export class Backward {
  readonly #model: Model
  readonly #ops: OpRegistry
  readonly #facts: ValueFacts
  readonly #builder: GraphBuilder
  readonly #g: GradBuilder
  /** What readers so far contribute to a value's gradient. */
  readonly #parts = new Map<Value, Value[]>()
  readonly #totals = new Map<Value, Value>()

  constructor(model: Model, ops: OpRegistry) {
    this.#model = model
    this.#ops = ops
    this.#facts = inferFacts(model, { ops })
    this.#builder = new GraphBuilder(model.graph)
    this.#g = new GradBuilder(this.#builder)
  }

  run(seeds: ReadonlyMap<Value, Value>, by: readonly Value[]): Value[] {
    const path = valuesBetween(this.#model.graph, by, seeds.keys())
    for (const value of by) if (!path.has(value)) throw unreached(value)
    for (const [value, seed] of seeds) this.#parts.set(value, [seed])
    // What branches read counts as well: a node that is passed over has a gradient of zero.
    const isOnPath = (node: Node) => [...dependencies(node)].some((x) => path.has(x))
    const nodes = [...this.#model.graph.nodes].filter(isOnPath)
    for (const node of nodes.toReversed()) this.#through(node, path)
    const gradients = by.map((value) => this.#gradient(value) ?? this.#zeros(value))
    this.#check()
    return gradients
  }

  #through(node: Node, path: ReadonlySet<Value>): void {
    const dy = node.outputs.map((y) => (y && path.has(y) ? this.#gradient(y) : null))
    if (dy.every((gradient) => gradient === null)) return
    const def = this.#ops.of(node)
    const version = def && versionIn(def, this.#model)
    if (!def?.grad || version === undefined) throw refused(node, 'has no gradient here')
    const gradients = def.grad(this.#context(def, node, version, dy, path))
    node.inputs.forEach((x, i) => {
      const part = gradients[i]
      if (x && part && path.has(x)) this.#parts.set(x, [...(this.#parts.get(x) ?? []), part])
    })
  }

  #context(
    def: OpDef,
    node: Node,
    version: number,
    dy: readonly (Value | null)[],
    path: ReadonlySet<Value>,
  ): GradContext {
    const output = (i: number) => asTensor(node.outputs[i]?.type)
    this.#g.dtype = output(0)?.dtype ?? 'float32'
    return {
      ...inferContext(def, node, version, { facts: this.#facts }),
      g: this.#g,
      x: (i) => must(node.inputs[i], `input ${i} of "${node.name}"`),
      y: (i) => must(node.outputs[i], `output ${i} of "${node.name}"`),
      dy: (i) => dy[i] ?? null,
      output,
      wanted: (i) => path.has(node.inputs[i] as Value),
      require: (i, type) => {
        if (!node.outputs[i]) node.setOutput(i, this.#builder.value(`${node.outputs[0]?.name}_${i}`, type))
        return must(node.outputs[i], `output ${i} of "${node.name}"`)
      },
      unsupported: (what) => {
        throw refused(node, `with ${what} has no gradient here`)
      },
      open: (what) => {
        throw openShape(node, what)
      },
    }
  }

  /** The sum of all contributions; null where there is none. */
  #gradient(value: Value): Value | null {
    const known = this.#totals.get(value)
    if (known) return known
    const parts = this.#parts.get(value) ?? []
    const [first] = parts
    if (!first) return null
    const total = parts.length === 1 ? first : this.#g.op(parts.length === 2 ? 'Add' : 'Sum', parts)
    this.#totals.set(value, total)
    return total
  }

  #zeros(value: Value): Value {
    this.#g.dtype = asTensor(value.type)?.dtype ?? 'float32'
    return this.#g.zerosLike(value)
  }

  /** Every gradient has the type and shape of its value: a rule that gives another would be broadcast silently. */
  #check(): void {
    const facts = inferFacts(this.#model, { ops: this.#ops })
    for (const [value, gradient] of this.#totals) {
      const [want, have] = [asTensor(value.type), asTensor(facts.type(gradient))]
      if (!want || !have) continue
      const fits = !isStatic(want.shape) || !isStatic(have.shape) || sameShape(want.shape, have.shape)
      invariant(want.dtype === have.dtype && fits, () => {
        const text = `${have.dtype}[${have.shape}], not ${want.dtype}[${want.shape}]`
        return `the gradient of "${value.name}" is ${text}; readers: ${value.consumers().map(nodeLabel).join(', ')}`
      })
    }
  }
}

const refused = (node: Node, why: string): Error =>
  problem(
    'AUTODIFF_OPERATOR',
    `${node.qualifiedType} ${why}, and lies between the loss and what it is differentiated by`,
    {
      at: { node: nodeLabel(node) },
      fix: 'differentiate by values behind it, or take it out of the network',
    },
  )

const openShape = (node: Node, what: string): Error =>
  problem('AUTODIFF_SHAPE', `the gradient of ${node.qualifiedType} depends on ${what}, which is open`, {
    at: { node: nodeLabel(node) },
    fix: 'give the sizes of all inputs (`shapes`)',
  })

const unreached = (value: Value): Error =>
  problem('AUTODIFF_VALUE', `the loss does not depend on "${value.name}"`, {
    at: { value: value.name },
    fix: 'leave it out, or choose another loss',
  })
