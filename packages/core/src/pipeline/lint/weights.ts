import { type Model, type Node, valuesByName } from '../../ir/index.ts'
import { type OpRegistry, weightAxis } from '../../ops/index.ts'
import { dataRanges, perChannel, type QuantPlan, type Range } from '../../quant/index.ts'
import { type Finding, nodePlace } from './finding.ts'

/** From this ratio on the smallest channel has four bits less than the largest. */
const SPREAD = 16
/** Channels this small beside the largest are dead: what training left of them says nothing. */
const DEAD = 1e-6

/** Weights with one scale for all channels, although the channels differ widely in size. */
export function spreadWeights(model: Model, plan: QuantPlan, ops: OpRegistry): Finding[] {
  const values = valuesByName(model.graph)
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const places = plan.tensors.flatMap(({ value, role, spec, readers }) => {
    const node = nodes.get(readers[0] ?? '')
    const constant = values.get(value)?.constant
    if (role !== 'weight' || spec.granularity.kind !== 'tensor' || !node || !constant) return []
    const axis = weightAxis(node, constant.dims.length, model, ops)
    if (axis === undefined) return []
    const ratio = spread(dataRanges(constant.numbers(), constant.dims, perChannel(axis)))
    return ratio >= SPREAD ? [nodePlace(node.name, `${kindOf(node, constant.dims)}, ${ratio.toFixed(0)} times`)] : []
  })
  if (places.length === 0) return []
  const message = `one scale serves weights whose channels differ ${SPREAD} times and more in size, so that small channels keep few codes`
  const fix =
    'keep these layers in float or give them more bits with an override, and look at their error with fewbit analyze'
  return [{ code: 'LINT_CHANNEL_SPREAD', level: 'warning', message, places, fix }]
}

/** Largest over smallest magnitude of the channels that are alive. */
function spread(ranges: readonly Range[]): number {
  const sizes = ranges.map(({ lo, hi }) => Math.max(-lo, hi))
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0)
  const alive = sizes.filter((size) => size > DEAD * largest)
  return alive.length > 0 ? largest / alive.reduce((a, b) => Math.min(a, b)) : 1
}

const kindOf = (node: Node, dims: readonly number[]): string => {
  const group = node.attributes.get('group')
  const isDepthwise = group?.kind === 'int' && Number(group.value) > 1 && dims[1] === 1
  return isDepthwise ? `depthwise ${node.opType}` : node.opType
}
