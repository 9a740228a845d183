import { cloneModel, type Model, type Node, type Value } from '../../ir/index.ts'
import { defaultOps, type OpRegistry, readAttrs, versionIn } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { codesOf, type Requantizer, requantizerOf } from '../quantizers.ts'
import { codesOfTensor, gridOf, isCodeType, sameGrid } from './codes.ts'
import { Islands, isWeightDequantizer } from './islands.ts'
import { type Built, LAYERS, type Operand, unary } from './layers/index.ts'
import type { Coded, FloatNode, IntegerNetwork, Step } from './network.ts'
import { pairsFromNodes } from './pairs-from-nodes.ts'
import { nodesTakenIn, resultOf } from './results.ts'
import type { Grid, Scheme } from './scheme.ts'

/**
 * A quantized network (QDQ) as layers of codes: scales are folded into what requantizes, zero points into biases, and Relu or Clip into the
 * range of codes. Nodes without an integer kernel are gathered to islands that run in float, each with its reason.
 * @param quantized is not changed.
 */
export function compileIntegers(quantized: Model, scheme: Scheme, ops: OpRegistry = defaultOps): IntegerNetwork {
  const model = cloneModel(quantized)
  inferShapes(model, { ops })
  pairsFromNodes(model)
  return new Compiler(model, scheme, ops).network()
}

class Compiler {
  readonly #model: Model
  readonly #scheme: Scheme
  readonly #ops: OpRegistry
  readonly #steps: Step[] = []
  readonly #floats: FloatNode[] = []
  readonly #islands: Islands
  /** Values that are held as codes: those of QuantizeLinear, and real ones that codes stand for. */
  readonly #coded = new Map<Value, Coded>()
  readonly #takenIn = new Set<Node>()

  constructor(model: Model, scheme: Scheme, ops: OpRegistry) {
    this.#model = model
    this.#scheme = scheme
    this.#ops = ops
    this.#islands = new Islands(model.graph, this.#coded)
  }

  network(): IntegerNetwork {
    const { graph } = this.#model
    for (const node of graph.nodes) if (!this.#takenIn.has(node)) this.#visit(node)
    const outputs = new Map(graph.outputs.map((value) => [value, this.#keptAt(value)]))
    this.#flush()
    return { model: this.#model, graph, scheme: this.#scheme, steps: this.#steps, outputs, floats: this.#floats }
  }

  #visit(node: Node): void {
    // Islands that read weights take them along.
    if (isWeightDequantizer(node) && !this.#model.graph.isOutput(node.outputs[0] as Value)) return
    const reason = this.#reasonOrStep(node)
    if (reason === undefined) return
    this.#floats.push({ node: node.name, opType: node.opType, reason })
    this.#islands.add(node)
  }

  /** Adds what runs the node in whole numbers, or says why nothing does. */
  #reasonOrStep(node: Node): string | undefined {
    if (node.opType === 'QuantizeLinear') return this.#quantize(node)
    if (node.opType === 'DequantizeLinear') return this.#dequantize(node)
    const real = this.#realOf(node)
    const build = (node.domain === '' ? LAYERS[node.opType] : undefined) ?? (real && unary)
    if (!build) return `nothing runs ${node.qualifiedType} in integers`
    const operands = node.inputs.map((value) => this.#operand(value))
    const requantizer = requantizerOf(node)
    const result = requantizer && resultOf(requantizer, this.#scheme.rounding)
    const declined = this.#scheme.declines?.(node.opType, result?.grid ?? gridOfFirst(operands))
    if (declined) return declined
    const [scheme, opset] = [this.#scheme, this.#model.opset()]
    const built = build({ node, operands, result, requantizer, scheme, opset, real })
    if (typeof built === 'string') return built
    for (const each of 'run' in built ? [built] : built) this.#layer(node, each, operands, result && requantizer)
    return undefined
  }

  #realOf(node: Node): ((x: number) => number) | undefined {
    const def = this.#ops.of(node)
    return def?.scalar?.(readAttrs(def, node, versionIn(def, this.#model) ?? def.since[0] ?? 1))
  }

  #layer(node: Node, built: Built, operands: readonly Operand[], requantizer: Requantizer | undefined): void {
    const reads = built.reads.map((i) => (this.#coded.get(node.inputs[i] as Value) as Coded).slot)
    this.#ready(reads)
    const takes = built.makes === 'result' && requantizer ? nodesTakenIn(requantizer) : []
    for (const taken of takes) this.#takenIn.add(taken)
    const makes = (takes.at(-1) ?? node).outputs[takes.length > 0 ? 0 : (built.output ?? 0)] as Value
    const grid = gridMade(built, operands, requantizer)
    if (grid) this.#coded.set(makes, { slot: makes, grid })
    const nodes = [node, ...takes].map(({ name }) => name)
    this.#steps.push({ kind: 'layer', node, nodes, reads, makes, grid, built })
  }

  #quantize(node: Node): string | undefined {
    const [from, makes] = [node.inputs[0] as Value, node.outputs[0] as Value]
    const grid = gridOf(node)
    if (!grid) return 'its scales are computed, or there are several'
    const source = this.#coded.get(from)
    if (source && sameGrid(source.grid, grid)) {
      this.#coded.set(makes, source)
      return undefined
    }
    if (source) {
      this.#ready([source.slot])
      this.#steps.push({ kind: 'rescale', from: source.slot, source: source.grid, makes, grid })
    } else {
      this.#ready([from])
      this.#steps.push({ kind: 'quantize', from, makes, grid })
    }
    this.#coded.set(makes, { slot: makes, grid })
    return undefined
  }

  /** Real values that codes stand for need no step: who reads them reads the codes. */
  #dequantize(node: Node): string | undefined {
    const [codes, makes] = [node.inputs[0] as Value, node.outputs[0] as Value]
    const grid = gridOf(node)
    if (codes.constant) return 'its codes are constant'
    if (!grid) return 'its scales are computed, or there are several'
    const slot = this.#coded.get(codes)?.slot ?? (this.#model.graph.isInput(codes) ? codes : undefined)
    if (!slot) return 'its codes come from a float operator'
    this.#coded.set(makes, { slot, grid })
    return undefined
  }

  #operand(value: Value | null): Operand {
    if (!value) return { kind: 'none' }
    const coded = this.#coded.get(value)
    if (coded && value.producer?.opType !== 'QuantizeLinear') return { kind: 'codes', grid: coded.grid }
    const found = codesOf(value)
    const grid = found && gridOf(found.dequantizer)
    const constant = found?.codes.constant
    if (grid && constant && isCodeType(constant.dtype))
      return { kind: 'codes', grid, constant: codesOfTensor(constant) }
    return value.constant ? { kind: 'constant', tensor: value.constant } : { kind: 'real' }
  }

  /** Islands that make what is read run first. */
  #ready(values: readonly Value[]): void {
    if (values.some((value) => this.#islands.makes(value))) this.#flush()
  }

  #flush(): void {
    this.#steps.push(...this.#islands.flush())
  }

  /** Where an output of the graph is found: codes as they are, real values that codes stand for in a step of their own. */
  #keptAt(value: Value): Value {
    const coded = this.#coded.get(value)
    if (!coded) return value
    if (typeOf(value) === coded.grid.dtype) return coded.slot
    this.#steps.push({ kind: 'dequantize', from: coded.slot, makes: value, grid: coded.grid })
    return value
  }
}

const typeOf = (value: Value): string | undefined => (value.type?.kind === 'tensor' ? value.type.dtype : undefined)

const gridOfFirst = (operands: readonly Operand[]): Grid | undefined =>
  operands.flatMap((operand) => (operand.kind === 'codes' ? [operand.grid] : []))[0]

function gridMade(built: Built, operands: readonly Operand[], requantizer: Requantizer | undefined): Grid | undefined {
  if (built.makes === 'real') return undefined
  if (built.makes === 'input') return gridOfFirst(operands)
  return requantizer && gridOf(requantizer.quantizer)
}
