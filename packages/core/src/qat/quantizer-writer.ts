import { POWER_OF_TWO_OP, QAT_DOMAIN } from '../fake-quantizers/index.ts'
import { asTensor, attribute, type Graph, GraphBuilder, insertOn, Node, tensorType, type Value } from '../ir/index.ts'
import { dequantizedName, type TensorPlan } from '../quant/index.ts'
import type { RandomInput } from '../training/index.ts'
import { must } from '../util/index.ts'
import { attributeOf } from './attribute-record.ts'
import type { SiteQuantizers } from './batch-norm/index.ts'
import type {
  Form,
  NormRecord,
  QFloatRecord,
  QuantizerInputRecord,
  QuantizerRecord,
  QuantizerSite,
  State,
} from './record.ts'

type WrittenRecord = Pick<QFloatRecord, 'plan' | 'quantizers'>

/** Puts fake-quantizers into a graph. Each group's parameters are stored once. */
export class QuantizerWriter {
  readonly #graph: Graph
  readonly #record: WrittenRecord
  readonly #state: State
  readonly #form: Form
  readonly #plans: ReadonlyMap<string, TensorPlan>
  readonly #parameters = new Map<string, Value>()
  readonly #done = new Set<QuantizerSite>()
  /** The last of those nodes before everything else that round parameters. */
  #roundings: Node | undefined

  /** Inputs for the numbers that some fake-quantizers draw in each step. */
  readonly random: RandomInput[] = []

  constructor(graph: Graph, record: WrittenRecord, state: State, form: Form) {
    this.#graph = graph
    this.#record = record
    this.#state = state
    this.#form = form
    this.#plans = new Map(record.plan.tensors.map((tensor) => [siteKey(tensor.group, tensor.value), tensor]))
  }

  /** For weight and bias of a layer whose BatchNormalization is folded in the graph. */
  layerQuantizers(layer: Node, norm: NormRecord): SiteQuantizers {
    const weight = this.#siteAt(norm.weight, layer)
    const bias = this.#siteAt(norm.deployedBias, layer)
    const quantize = (found: Found | undefined, value: Value): Value => {
      if (!found) return value
      this.#done.add(found.site)
      if (!found.record.enabled) return value
      const node = this.#node(found, value)
      this.#graph.add(node, { before: layer })
      return must(node.outputs[0], 'output of the fake-quantizer')
    }
    return {
      weight: (value) => quantize(weight, value),
      bias: (value) => quantize(bias, value),
      hasBias: bias?.record.enabled === true,
    }
  }

  /** All that are not written yet. */
  rest(values: ReadonlyMap<string, Value>): void {
    const open = this.#record.quantizers
      .flatMap((record) => record.sites.map((site) => ({ record, site })))
      .filter(({ record, site }) => record.enabled && !this.#done.has(site))
    for (const found of open) {
      const plan = must(this.#plans.get(siteKey(found.record.group, found.site.value)), `plan of "${found.site.value}"`)
      const value = must(values.get(plan.value), `value "${plan.value}"`)
      const readers = new Set(plan.readers)
      const uses = value.uses().filter((use) => readers.has(use.node.name))
      const node = this.#node(found, value)
      const after = this.#roundings ? { after: this.#roundings } : {}
      insertOn(value, [node], { uses, output: plan.graphOutput === true, graph: this.#graph, ...after })
    }
  }

  #siteAt(value: string, layer: Node): Found | undefined {
    for (const record of this.#record.quantizers) {
      for (const site of record.sites) {
        const isHere =
          site.value === value && this.#plans.get(siteKey(record.group, value))?.readers.includes(layer.name)
        if (isHere) return { record, site }
      }
    }
    return undefined
  }

  #node({ record, site }: Found, x: Value): Node {
    const inputs = record.inputs.map((input) => this.#input(input, site, x))
    const output = new GraphBuilder(this.#graph).value(dequantizedName(site.value), x.type)
    const own = this.#form === 'training' ? record.trainingAttributes : undefined
    const attributes = Object.entries({ ...record.attributes, ...own }).map(
      ([name, value]) => [name, attributeOf(value)] as const,
    )
    const opType = record.opType
    return new Node({
      opType,
      domain: QAT_DOMAIN,
      name: site.node,
      inputs: [x, ...inputs],
      outputs: [output],
      attributes,
    })
  }

  /** Evaluation takes fixed numbers in the place of random ones. */
  #input(input: QuantizerInputRecord, { node }: QuantizerSite, x: Value): Value {
    if (!input.random || this.#form === 'evaluation') return this.parameter(input)
    const noise = new GraphBuilder(this.#graph).input(`${node}_noise`, tensorType('float32', asTensor(x.type)?.shape))
    this.random.push({ name: noise.name, fill: { kind: 'uniform' } })
    return noise
  }

  /** A parameter of a fake-quantizer as it is read: rounded before everything else, where it is. */
  parameter({ initializer: name, powerOfTwo }: QuantizerInputRecord): Value {
    const known = this.#parameters.get(name)
    if (known) return known
    const value = this.#graph.addInitializer(name, must(this.#state.get(name), `parameter "${name}"`))
    const read = powerOfTwo === undefined ? value : this.#rounded(value, powerOfTwo)
    this.#parameters.set(name, read)
    return read
  }

  #rounded(parameter: Value, steps: number): Value {
    const [first] = this.#graph.nodes
    const builder = new GraphBuilder(this.#graph, first ? { before: first } : {})
    const name = `${parameter.name}_power_of_two`
    const { type, domain } = POWER_OF_TWO_OP
    const options = { domain, name, output: name, types: [parameter.type] }
    const rounded = builder.op(type, [parameter], { steps: attribute.float(steps) }, options)
    this.#roundings ??= rounded.producer ?? undefined
    return rounded
  }
}

interface Found {
  readonly record: QuantizerRecord
  readonly site: QuantizerSite
}

const siteKey = (group: string, value: string): string => `${group}\n${value}`
