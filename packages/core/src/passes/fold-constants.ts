import { Cloner, dependencies, Graph, Model, type Node, nestedGraphs, type Tensor, type Value } from '../ir/index.ts'
import { asTensor, elementCount } from '../ir/types.ts'
import { nodeLabel } from '../ops/infer.ts'
import { byteLength, type DType, must } from '../util/index.ts'
import { removeWithSubgraphs } from './dead-code.ts'
import type { Pass, PassContext } from './pass.ts'
import { RuleContext } from './rule-context.ts'
import { becomeInitializer } from './surgery.ts'

export interface FoldOptions {
  /** Results up to this size are always stored. Default 64 KiB. */
  readonly smallBytes?: number
  /** Larger results are stored if they take at most this multiple of the constants that they are computed from. Default 1. */
  readonly growth?: number
}

/** Types that engines hand out of a session; sub-byte and 8-bit float values stay inside the graph. */
const FETCHABLE: ReadonlySet<DType> = new Set<DType>(
  'float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool'.split(' ') as DType[],
)

/**
 * Evaluates everything that depends on constants only, in one call of the engine, and stores the results as initializers.
 * Quantizers are never evaluated, so nothing is folded across one; neither are operators with effects, or unknown ones.
 * Results that would blow up the file stay computed. Function bodies are left alone: they have no initializers.
 */
export function foldConstants({ smallBytes = 65536, growth = 1 }: FoldOptions = {}): Pass {
  return {
    name: 'fold-constants',
    summary: 'evaluate what depends on constants only',
    async run(model, pass) {
      if (!pass.evaluate) return { modified: false }
      const folding = new Folding(model, pass, { smallBytes, growth })
      if (folding.wanted.length === 0) return { modified: false }
      const results = await folding.evaluate(pass.evaluate)
      return { modified: results !== undefined && folding.store(results) }
    },
  }
}

class Folding {
  readonly #model: Model
  readonly #pass: PassContext
  readonly #cx: RuleContext
  readonly #limits: Required<FoldOptions>
  /** Nodes to evaluate, in topological order over all graphs. */
  readonly #nodes = new Set<Node>()
  /** Bytes of the constants behind each foldable value. */
  readonly #sourceBytes = new Map<Value, number>()
  /** Values that the rest of the model reads. */
  readonly wanted: readonly Value[]

  constructor(model: Model, pass: PassContext, limits: Required<FoldOptions>) {
    this.#model = model
    this.#pass = pass
    this.#cx = new RuleContext(model, pass.ops)
    this.#limits = limits
    for (const graph of nestedGraphs(model.graph)) for (const node of graph.nodes) this.#visit(node)
    this.wanted = [...this.#nodes].flatMap((node) =>
      node.outputs.filter((o): o is Value => o !== null && this.#isWanted(o)),
    )
  }

  #visit(node: Node): void {
    // The graphs of a node that is evaluated as a whole are visited later; nothing in them remains to be done.
    if (this.#isInsideFolded(node)) return
    const sources = [...dependencies(node)]
    if (sources.length === 0 || !this.#isEvaluable(node)) return
    if (!sources.every((value) => this.#cx.constant(value) || this.#sourceBytes.has(value))) return
    const bytes = sources.reduce((sum, v) => sum + (v.constant?.byteLength ?? this.#sourceBytes.get(v) ?? 0), 0)
    const reason = this.#obstacle(node, bytes)
    if (reason) {
      this.#trace('declined', node, reason)
      return
    }
    this.#nodes.add(node)
    for (const output of node.outputs) if (output) this.#sourceBytes.set(output, bytes)
  }

  #isInsideFolded(node: Node): boolean {
    for (let owner = node.graph?.owner ?? null; owner; owner = owner.graph?.owner ?? null) {
      if (this.#nodes.has(owner)) return true
    }
    return false
  }

  #isEvaluable(node: Node): boolean {
    const inner = node.subgraphs().flatMap((sub) => [...nestedGraphs(sub)].flatMap((g) => [...g.nodes]))
    return [node, ...inner].every(
      (n) => this.#cx.ops.of(n) && !this.#cx.hasTrait(n, 'quantizer') && !this.#cx.hasTrait(n, 'impure'),
    )
  }

  #obstacle(node: Node, sourceBytes: number): string | undefined {
    for (const output of node.outputs) {
      if (!output) continue
      const type = asTensor(output.type)
      if (!type) return `the type of "${output.name}" is not known to be a tensor`
      if (!FETCHABLE.has(type.dtype)) return `${type.dtype} values cannot be read out of an engine`
      if (this.#cx.isOutput(output)) return `"${output.name}" is a graph output`
      const count = elementCount(type.shape)
      const bytes = count === undefined ? 0 : byteLength(type.dtype, count)
      if (!this.#fits(bytes, sourceBytes)) return `the result takes ${bytes} bytes, its constants ${sourceBytes}`
    }
    return undefined
  }

  #fits(bytes: number, sourceBytes: number): boolean {
    return bytes <= Math.max(this.#limits.smallBytes, this.#limits.growth * sourceBytes)
  }

  #isWanted(value: Value): boolean {
    return value.consumers().some((reader) => !this.#nodes.has(reader) && !this.#isInsideFolded(reader))
  }

  /** One model without inputs that returns every wanted value; names are its own, since sibling branches may share theirs. */
  #subModel(): Model {
    const cloner = new Cloner()
    const graph = new Graph('constants')
    for (const node of this.#nodes) {
      for (const value of dependencies(node)) {
        if (value.constant && !cloner.values.has(value)) graph.initializers.add(cloner.define(value))
      }
      graph.add(cloner.node(node))
    }
    let n = 0
    for (const copy of cloner.values.values()) copy.name = `v${n++}`
    n = 0
    for (const copy of cloner.nodes.values()) copy.name = `n${n++}`
    graph.outputs.push(...this.wanted.map((value) => cloner.read(value)))
    const model = new Model(graph)
    model.irVersion = Math.max(4, this.#model.irVersion)
    for (const [domain, version] of this.#model.opsets) model.opsets.set(domain, version)
    return model
  }

  /** Undefined if the engine refuses, which costs the folding and nothing else. */
  async evaluate(evaluate: NonNullable<PassContext['evaluate']>): Promise<Tensor[] | undefined> {
    const model = this.#subModel()
    try {
      const results = await evaluate(model)
      return model.graph.outputs.map((o) => must(results[o.name], `result "${o.name}"`))
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      this.#pass.diagnostics.warn('FOLD_FAILED', `constants were not folded: the engine says ${text}`)
      return undefined
    }
  }

  /** Makes the results initializers and removes what computed them. */
  store(results: readonly Tensor[]): boolean {
    const oversize = this.wanted.filter(
      (value, i) => !this.#fits(must(results[i], 'result').byteLength, this.#source(value)),
    )
    const kept = new Set(oversize.map((value) => value.producer))
    // Behind a result that stays computed, a node may lose all of its outputs but not some of them.
    const storable = (node: Node) => !kept.has(node) && (oversize.length === 0 || node.outputs.length === 1)
    let stored = false
    this.wanted.forEach((value, i) => {
      const tensor = must(results[i], 'result')
      const node = must(value.producer, 'producer')
      if (!storable(node)) {
        this.#trace('declined', node, 'the result, or one behind it, is too large to store')
        return
      }
      this.#trace('fired', node, `"${value.name}" is now ${tensor.dtype}[${tensor.dims.join(',')}]`)
      becomeInitializer(value, tensor)
      stored = true
    })
    for (const node of [...this.#nodes].reverse()) {
      if (node.outputs.every((o) => o === null || o.useCount === 0)) removeWithSubgraphs(node)
    }
    return stored
  }

  #source(value: Value): number {
    return must(this.#sourceBytes.get(value), 'source')
  }

  #trace(kind: 'fired' | 'declined', node: Node, text: string): void {
    this.#pass.trace({ pass: 'fold-constants', kind, node: nodeLabel(node), text })
  }
}
