import { type Value, valuesByName } from '../ir/index.ts'
import type { Trainable } from '../training/index.ts'
import { must, problem } from '../util/index.ts'
import type { QFloatRecord } from './record.ts'

/** A weight and where it is rounded, in the form in which the network trains. Names of values. */
export interface OscillationSite {
  /** The trained weight. */
  readonly weight: string
  /** What the weight is multiplied with before it is rounded: γ/σ, where BatchNormalization is folded. */
  readonly factor?: string
  /** The size of a code. */
  readonly scale: string
  /** Rounded. */
  readonly rounded: string
}

/** Those that round x to the nearest code · scale, so that a code says where the weight has to be. */
const EVEN = ['fixed', 'lsq', 'lsq-plus', 'ewgs', 'dsq']

/**
 * Every weight that is rounded while it trains.
 * @throws FewbitError OSCILLATION_QUANTIZER where weights are rounded after something that cannot be undone, such as tanh.
 */
export function oscillationSites({ quantizers }: QFloatRecord, { model, parameters }: Trainable): OscillationSite[] {
  const trained = new Set(parameters.map(({ name }) => name))
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const values = valuesByName(model.graph)
  return quantizers.flatMap(({ role, enabled, quantizer, sites, inputs }) => {
    if (role !== 'weight' || !enabled) return []
    if (!EVEN.includes(quantizer.name)) throw notEven(quantizer.name)
    const at = inputs.findIndex(({ name }) => name === 'scale')
    return sites.flatMap(({ node: name }): OscillationSite[] => {
      const node = must(nodes.get(name), `fake-quantizer "${name}"`)
      const source = sourceOf(must(node.inputs[0], 'weight'), trained)
      const rounded = must(node.outputs[0], 'rounded weight').name
      const scale = must(node.inputs[1 + at], 'scale').name
      return source && values.has(scale) ? [{ ...source, scale, rounded }] : []
    })
  })
}

/** The trained weight behind what is rounded: itself, or one side of a product. */
function sourceOf(value: Value, trained: ReadonlySet<string>): Pick<OscillationSite, 'weight' | 'factor'> | undefined {
  if (trained.has(value.name)) return { weight: value.name }
  const [a, b] = value.producer?.opType === 'Mul' ? value.producer.inputs : []
  if (!a || !b || !trained.has(a.name)) return undefined
  return { weight: a.name, factor: b.name }
}

const notEven = (name: string): Error =>
  problem(
    'OSCILLATION_QUANTIZER',
    `the weights' fake-quantizer ${name} is none whose codes say where a weight has to be`,
    {
      at: { option: 'oscillation' },
      fix: `choose one of ${EVEN.join(', ')} for weights, or leave oscillation out`,
    },
  )
