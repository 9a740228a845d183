import { type ModelSize, modelSize } from '../analysis/index.ts'
import { allGraphs, asTensor, cloneModel, type Model, type Shape, type Value } from '../ir/index.ts'
import { defaultOps, type OpRegistry, versionIn } from '../ops/index.ts'
import { inferShapesPass } from '../passes/index.ts'
import { type Diagnostic, Diagnostics } from '../util/index.ts'

export interface Port {
  readonly name: string
  readonly dtype: string
  readonly shape: Shape | null
}

/** What `fewbit inspect` shows. JSON. */
export interface Inspection extends Omit<ModelSize, 'macsUnknown'> {
  readonly producer: string
  readonly irVersion: number
  readonly opsets: Readonly<Record<string, number>>
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly nodes: number
  /** Operator type → count, nested graphs and functions included, most frequent first. */
  readonly operators: Readonly<Record<string, number>>
  /** `input axis` → symbol, for dimensions that are open. */
  readonly dynamicDims: readonly string[]
  /** Types without a definition: they pass through untouched and stay float. */
  readonly unsupported: readonly string[]
  readonly quantizers: number
  readonly macsUnknown: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly diagnostics: readonly Diagnostic[]
}

/** Facts about a model, without running it. Does not change the model and does not read its weights. */
export async function inspect(model: Model, options: { ops?: OpRegistry } = {}): Promise<Inspection> {
  const ops = options.ops ?? defaultOps
  const diagnostics = new Diagnostics()
  const typed = cloneModel(model)
  await inferShapesPass.run(typed, { ops, diagnostics, trace: () => {} })
  const nodes = [...allGraphs(typed)].flatMap((graph) => [...graph.nodes])
  const local = new Set(typed.functions.map((f) => `${f.domain}::${f.name}`))
  const known = (domain: string, type: string) => ops.get(domain, type) ?? local.has(`${domain}::${type}`)
  return {
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    irVersion: model.irVersion,
    opsets: Object.fromEntries([...model.opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
    inputs: typed.graph.inputs.filter((value) => !value.constant).map(port),
    outputs: typed.graph.outputs.map(port),
    nodes: nodes.length,
    operators: countBy(nodes.map((node) => node.qualifiedType)),
    dynamicDims: typed.graph.inputs.flatMap(openDims),
    unsupported: [...new Set(nodes.filter((n) => !known(n.domain, n.opType)).map((n) => n.qualifiedType))],
    quantizers: nodes.filter((node) => ops.of(node)?.quant.traits?.includes('quantizer')).length,
    metadata: Object.fromEntries(model.metadata),
    diagnostics: [...diagnostics.list, ...tooOld(nodes, typed, ops)],
    ...modelSize(typed, ops),
  }
}

function tooOld(nodes: readonly { qualifiedType: string }[], model: Model, ops: OpRegistry): Diagnostic[] {
  const graph = [...allGraphs(model)].flatMap((g) => [...g.nodes])
  const invalid = graph.filter((node) => {
    const def = ops.of(node)
    return def && model.opset(node.domain) > 0 && versionIn(def, model) === undefined
  })
  const types = [...new Set(invalid.map((node) => node.qualifiedType))]
  return types.map((type) => ({
    code: 'OPSET_TOO_OLD',
    level: 'warning',
    message: `${type} does not exist in the model's opset; ${nodes.filter((n) => n.qualifiedType === type).length} nodes use it`,
  }))
}

function port(value: Value): Port {
  const type = asTensor(value.type)
  return { name: value.name, dtype: type?.dtype ?? value.type?.kind ?? 'unknown', shape: type?.shape ?? null }
}

function openDims(value: Value): string[] {
  const shape = value.constant ? undefined : asTensor(value.type)?.shape
  return (shape ?? []).flatMap((dim, axis) =>
    typeof dim === 'number' ? [] : [`${value.name}[${axis}] = ${dim ?? '?'}`],
  )
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)))
}
