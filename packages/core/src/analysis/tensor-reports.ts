import type { StatRequest, StatsTable, TensorStats } from '../calibration/index.ts'
import { asTensor, type Model, type Node, type Value, valuesByName } from '../ir/index.ts'
import { type OpRegistry, weightAxis } from '../ops/index.ts'
import { groupsOf, type QuantParams, type TensorPlan, withZero } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { channelExtremes, channelReport } from './channel-ranges.ts'
import { distributionOf, distributionOfStats } from './distribution.ts'
import type { QuantizedNetwork } from './layerwise.ts'
import { type QuantLayer, quantLayers } from './quant-layers.ts'
import { constantShares, measuredShares, quantizationReport } from './quantization-report.ts'
import type { TensorReport } from './report-tensor-schema.ts'

/** What `tensorReports` has to know of activations: `collectStats` measures it on the float network. */
export function reportRequests({ float, plan }: QuantizedNetwork, ops: OpRegistry): StatRequest[] {
  const values = valuesByName(float.graph)
  const names = new Set(plan.tensors.filter((t) => t.role === 'activation').map((t) => t.value))
  return [...names].flatMap((name): StatRequest[] => {
    const value = values.get(name)
    if (!value) return []
    const axis = channelAxis(value, float, ops)
    return [{ value: name, wants: ['histogram', 'moments'], ...(axis === undefined ? {} : { channelAxis: axis }) }]
  })
}

/** Axis 1 of maps and of rows of features, the last one of sequences; undefined where its size is open. */
function channelAxis(value: Value, model: Model, ops: OpRegistry): number | undefined {
  const shape = asTensor(value.type)?.shape
  if (!shape || shape.length < 2) return undefined
  const around = [value.producer, ...value.consumers()].filter((node): node is Node => node !== null)
  const isMap = shape.length !== 3 || around.some((node) => weightAxis(node, 3, model, ops) === 0)
  const axis = isMap ? 1 : 2
  return typeof shape[axis] === 'number' ? axis : undefined
}

/** Distribution, range and codes of every tensor of the plan, in its order. Activations that were not measured are left out. */
export function tensorReports(network: QuantizedNetwork, stats: StatsTable, ops: OpRegistry): TensorReport[] {
  const { float, plan, params } = network
  const values = valuesByName(float.graph)
  const layers = quantLayers(float, plan, ops)
  const ratios = groupRatios(network, stats)
  const nodes = new Map([...float.graph.nodes].map((node) => [node.name, node]))
  const axisOf = (reader: string | undefined, rank: number): number | undefined => {
    const node = nodes.get(reader ?? '')
    return node && weightAxis(node, rank, float, ops)
  }
  return plan.tensors.flatMap((tensor): TensorReport[] => {
    const value = must(values.get(tensor.value), `value "${tensor.value}"`)
    const found = must(params.get(tensor.group), `parameters of "${tensor.group}"`)
    const measured = stats.get(tensor.value)
    if (value.constant) return [constantReport(tensor, value, found, axisOf)]
    return measured ? [activationReport(tensor, value, found, measured, layers, ratios.get(tensor))] : []
  })
}

function activationReport(
  { value: name, role }: TensorPlan,
  value: Value,
  params: QuantParams,
  measured: TensorStats,
  layers: readonly QuantLayer[],
  groupRatio: number | undefined,
): TensorReport {
  const maker = layers.find(({ makes }) => makes.has(name))?.node ?? value.producer?.name
  return {
    value: name,
    role,
    ...(maker === undefined ? {} : { layer: maker }),
    ...distributionOfStats(measured),
    quantization: quantizationReport(params),
    ...(measured.histogram ? measuredShares(measured.histogram, params) : {}),
    ...(measured.channels ? { channels: channelReport(measured.channels) } : {}),
    ...(groupRatio === undefined ? {} : { groupRatio }),
  }
}

function constantReport(
  { value: name, role, readers, spec }: TensorPlan,
  { constant }: Value,
  params: QuantParams,
  axisOf: (reader: string | undefined, rank: number) => number | undefined,
): TensorReport {
  const tensor = must(constant, `constant "${name}"`)
  const numbers = tensor.numbers()
  const dims = [...tensor.dims]
  const own = spec.granularity.kind === 'tensor' ? undefined : spec.granularity.axis
  const axis = own ?? axisOf(readers[0], dims.length)
  const isSplit = axis !== undefined && role === 'weight' && dims[axis] !== undefined
  return {
    value: name,
    role,
    ...(readers[0] === undefined ? {} : { layer: readers[0] }),
    dims,
    ...distributionOf(numbers),
    quantization: quantizationReport(params),
    ...constantShares(numbers, params, dims),
    ...(isSplit ? { channels: channelReport(channelExtremes(numbers, dims, axis)) } : {}),
    ...(role === 'bias' ? { biasReach: biasReach(numbers, params) } : {}),
  }
}

/** Largest |code| of a bias as a share of what int32 holds. */
function biasReach(values: ArrayLike<number>, { scale }: QuantParams): number {
  let largest = 0
  for (let c = 0; c < values.length; c++) {
    largest = Math.max(largest, Math.abs((values[c] as number) / (scale[c % scale.length] as number)))
  }
  return largest / 2 ** 31
}

/** Range of all members of a sharing group ÷ range of each, zero included. */
function groupRatios({ plan }: QuantizedNetwork, stats: StatsTable): Map<TensorPlan, number> {
  const ratios = new Map<TensorPlan, number>()
  for (const members of groupsOf(plan).values()) {
    const measured = members.flatMap((tensor) => {
      const found = stats.get(tensor.value)
      return found ? [{ tensor, ...withZero({ lo: found.min, hi: found.max }) }] : []
    })
    if (measured.length < 2) continue
    const lo = measured.reduce((a, m) => Math.min(a, m.lo), 0)
    const hi = measured.reduce((a, m) => Math.max(a, m.hi), 0)
    for (const m of measured) if (m.hi > m.lo) ratios.set(m.tensor, (hi - lo) / (m.hi - m.lo))
  }
  return ratios
}
