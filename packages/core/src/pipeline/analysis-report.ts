import {
  type AnalysisLayer,
  type AnalysisReport,
  accumulatorReports,
  type LayerError,
  type LayerwiseError,
  type OutputMetrics,
  type QuantizedNetwork,
  type QuantLayer,
  quantLayers,
  type SensitivityEntry,
  type TensorReport,
  type VariantError,
} from '../analysis/index.ts'
import { type Model, modelBytes } from '../ir/index.ts'
import { type QuantPlan, summarizePlan, type TensorPlan } from '../quant/index.ts'
import type { AnalyzeOptions, TaskScores } from './analyze.ts'
import { recordedRecipe, versionsOf } from './recipe.ts'
import type { Run } from './run.ts'

export interface AnalysisFacts {
  readonly reference: Model
  readonly candidate: Model
  readonly options: AnalyzeOptions
  readonly samples: number
  readonly layers: readonly LayerError[]
  readonly outputs: VariantError
  readonly network: QuantizedNetwork | undefined
  readonly parts?: { readonly weightsOnly: OutputMetrics; readonly activationsOnly: OutputMetrics }
  readonly alone?: readonly LayerwiseError[]
  readonly tensors?: TensorReport[]
  readonly task?: TaskScores
}

/** Puts together what was found. */
export function analysisReport(facts: AnalysisFacts, run: Run): AnalysisReport {
  const { candidate, options, samples, outputs, network, parts, alone, tensors, task } = facts
  const recipe = recordedRecipe(candidate)
  return {
    format: 'fewbit-analysis',
    version: 1,
    versions: versionsOf(run),
    ...(network ? { model: modelSummary(facts, network.plan) } : {}),
    data: { name: options.data.name, samples, synthetic: options.data.synthetic ?? false },
    outputs: Object.entries(outputs.outputs).map(([value, metrics]) => ({ value, metrics })),
    ...(parts ? { parts } : {}),
    ...(task ? { task: taskReport(task) } : {}),
    layers: layerReports(facts, run),
    ...(tensors ? { tensors } : {}),
    ...(alone ? { sensitivity: sensitivity(alone) } : {}),
    ...(network ? { plan: planReport(network.plan) } : {}),
    ...(recipe ? { recipe } : {}),
    diagnostics: run.diagnostics.list.map((d) => ({ ...d })),
    seconds: { ...run.seconds },
  }
}

function modelSummary({ reference, candidate, options }: AnalysisFacts, plan: QuantPlan) {
  const { nodes, macs, integerShare } = summarizePlan(plan)
  const { float, quantized } = options.names ?? { float: 'float', quantized: 'quantized' }
  return {
    float: { name: float, bytes: modelBytes(reference) },
    quantized: { name: quantized, bytes: modelBytes(candidate) },
    target: plan.target,
    scheme: plan.scheme,
    nodes,
    macs,
    ...(integerShare === undefined ? {} : { integerShare }),
  }
}

const taskReport = ({ before, after }: TaskScores) => ({
  data: after.data,
  samples: after.samples,
  before: { ...before.metrics },
  after: { ...after.metrics },
})

/** Specs go with the parameters, in the report's tensors. */
const planReport = ({ nodes, tensors }: QuantPlan) => ({
  nodes: nodes.map((node) => ({ ...node, reason: { ...node.reason } })),
  tensors: tensors.map(({ spec: _, ...tensor }) => ({
    ...tensor,
    readers: [...tensor.readers],
    reason: { ...tensor.reason },
  })),
})

/** Graphwise and isolated errors side by side: a tensor is that of the layer whose nodes make it. */
function layerReports({ layers, network, alone }: AnalysisFacts, run: Run): AnalysisLayer[] {
  if (!network) return layers.map(plainLayer)
  const known = quantLayers(network.float, network.plan, run.ops)
  const decisions = new Map(network.plan.nodes.map((node) => [node.node, node]))
  const reach = accumulatorReports(network, run.ops)
  const isolated = new Map(alone?.map((error) => [error.layer.node, error]))
  const seen = new Set<QuantLayer>()
  const about = (layer: QuantLayer): Omit<AnalysisLayer, 'node' | 'opType' | 'value' | 'graphwise'> => {
    seen.add(layer)
    const { layer: _, ...errors } = isolated.get(layer.node) ?? { layer }
    const accumulator = reach.get(layer.node)
    return {
      ...errors,
      decision: layer.decision,
      ...(layer.macs === undefined ? {} : { macs: layer.macs }),
      ...bitsOf(layer, network.plan),
      ...(accumulator ? { accumulator } : {}),
    }
  }
  const compared = layers.map((error): AnalysisLayer => {
    const layer = known.find(({ makes }) => makes.has(error.value))
    if (layer) return { ...plainLayer(error), node: layer.node, opType: layer.opType, ...about(layer) }
    const plan = decisions.get(error.node)
    const macs = plan?.macs === undefined ? {} : { macs: plan.macs }
    return { ...plainLayer(error), ...(plan ? { decision: plan.decision } : {}), ...macs }
  })
  const rest = known.filter((layer) => !seen.has(layer))
  const others = rest.map((layer) => {
    const value = [...layer.makes].at(-1) ?? layer.node
    return { node: layer.node, opType: layer.opType, value, ...about(layer) }
  })
  return [...compared, ...others]
}

function plainLayer({ node, opType, value, ...graphwise }: LayerError): AnalysisLayer {
  return { node, opType, value, graphwise }
}

/** Bits of the weight and of the narrowest activation that the layer reads. */
function bitsOf({ nodes }: QuantLayer, { tensors }: QuantPlan): Pick<AnalysisLayer, 'bits'> {
  const least = (role: TensorPlan['role']): number | undefined => {
    const read = tensors.filter((t) => t.role === role && t.readers.some((name) => nodes.has(name)))
    return read.length > 0 ? read.reduce((bits, t) => Math.min(bits, t.spec.bits), 32) : undefined
  }
  const [weight, activation] = [least('weight'), least('activation')]
  if (weight === undefined && activation === undefined) return {}
  return {
    bits: {
      ...(weight === undefined ? {} : { weight }),
      ...(activation === undefined ? {} : { activation }),
    },
  }
}

function sensitivity(alone: readonly LayerwiseError[]): SensitivityEntry[] {
  const total = alone.reduce((sum, { isolated }) => sum + isolated.mse, 0)
  const rank = ({ sqnr }: SensitivityEntry): number => (Number.isNaN(sqnr) ? Number.NEGATIVE_INFINITY : sqnr)
  return alone
    .map(({ layer, isolated }) => ({
      node: layer.node,
      opType: layer.opType,
      sqnr: isolated.sqnr,
      noiseShare: total === 0 ? 0 : isolated.mse / total,
    }))
    .sort((a, b) => rank(a) - rank(b))
}
