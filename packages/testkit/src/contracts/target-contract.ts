import type { Exporter } from '@fewbit/core/exporters'
import { type Model, valuesByName } from '@fewbit/core/ir'
import { defaultOps, type OpRegistry } from '@fewbit/core/ops'
import { inferShapesPass, PASSES, runPasses, structuralHash } from '@fewbit/core/passes'
import { latentTensors } from '@fewbit/core/pipeline'
import {
  groupsOf,
  measuredTensors,
  type PlannerOptions,
  planQuantization,
  type QuantPlan,
  storageDType,
  type Target,
  type TensorPlan,
} from '@fewbit/core/quant'
import { Diagnostics } from '@fewbit/core/util'
import { FIXTURE_NAMES, fixture } from '../fixtures.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'

export interface TargetSurroundings {
  readonly exporters: Readonly<Record<string, Exporter>>
  readonly ops?: OpRegistry
  /** What makes the plans; the planner of the core unless given. */
  readonly planner?: typeof planQuantization
}

/** What every backend table promises, by itself and in the plans that are made for it. */
export function targetContract(target: Target, surroundings: TargetSurroundings): ContractCheck[] {
  const { exporters, ops = defaultOps, planner = planQuantization } = surroundings
  const plan = (model: Model) => planner(model, target, ops)
  const onPlans = (check: (plan: QuantPlan, model: Model) => void) => async () => {
    for (const name of FIXTURE_NAMES) {
      const model = await typedFixture(name, ops)
      check(plan(model), model)
    }
  }
  return [
    { name: 'names operators that exist', run: () => operatorsExist(target, ops) },
    { name: 'moves and accumulates only where operators do', run: () => agreesWithTraits(target, ops) },
    { name: 'names exporters and passes that exist', run: () => namesExist(target, exporters) },
    { name: 'plans every node once', run: onPlans(plansEveryNode) },
    { name: 'quantizes with specs that its kernels take', run: onPlans((made) => specsAllowed(made, target)) },
    { name: 'plans readers that read, and values that exist', run: onPlans(readersRead) },
    { name: 'partitions tensors into groups of one spec', run: onPlans(groupsPartition) },
    {
      name: 'measures enough to keep any product in float',
      run: onPlans((made, model) => coversExceptions(made, model, target, (o) => planner(model, target, ops, o))),
    },
    {
      name: 'plans the same twice and changes no model',
      run: onPlans((made, model) => isDeterministic(made, model, plan)),
    },
  ]
}

export async function typedFixture(name: (typeof FIXTURE_NAMES)[number], ops: OpRegistry): Promise<Model> {
  const model = fixture(name)
  const cx = { ops, diagnostics: new Diagnostics(), trace: () => undefined }
  await runPasses(model, [inferShapesPass], cx)
  return model
}

/** `Type` of ai.onnx, or `domain::Type`. */
function definition(name: string, ops: OpRegistry) {
  const [domain = '', type = ''] = name.includes('::') ? name.split('::') : ['', name]
  return ops.get(domain, type)
}

function operatorsExist(target: Target, ops: OpRegistry): void {
  const names = new Set([...Object.keys(target.ops), ...target.fuse.flatMap(({ hosts }) => hosts)])
  const unknown = [...names].filter((name) => !definition(name, ops))
  demand(unknown.length === 0, () => `no such operators: ${unknown.join(', ')}`)
}

function agreesWithTraits(target: Target, ops: OpRegistry): void {
  for (const [name, rule] of Object.entries(target.ops)) {
    const traits = definition(name, ops)?.quant.traits ?? []
    const moves = rule.mode !== 'pass' || traits.includes('scale-preserving')
    demand(moves, () => `${name} passes codes on, but does not keep its input's elements`)
    const weighs = rule.mode !== 'weights' || traits.includes('accumulates')
    demand(weighs, () => `${name} has its weight quantized, but no weight`)
    demand(!rule.floatOutput || traits.includes('accumulates'), () => `${name} sums to float, but does not accumulate`)
  }
}

function namesExist(target: Target, exporters: Readonly<Record<string, Exporter>>): void {
  demand(target.exporters.length > 0, () => 'the target has no exporter')
  const unknown = target.exporters.filter((name) => !Object.hasOwn(exporters, name))
  demand(unknown.length === 0, () => `no such exporters: ${unknown.join(', ')}`)
  const passes = (target.rewrites ?? []).filter((name) => !Object.hasOwn(PASSES, name))
  demand(passes.length === 0, () => `no such passes: ${passes.join(', ')}`)
}

function plansEveryNode(plan: QuantPlan, model: Model): void {
  const planned = plan.nodes.map((node) => node.node)
  demandEqual(
    planned,
    [...model.graph.nodes].map((node) => node.name),
    'planned nodes',
  )
}

function specsAllowed(plan: QuantPlan, target: Target): void {
  const integer = new Set(plan.nodes.filter((node) => node.decision === 'integer').map((node) => node.node))
  for (const tensor of plan.tensors) {
    const readByKernel = tensor.readers.some((reader) => integer.has(reader))
    const allowed = kernelTypes(tensor, target)
    const dtype = storageDType(tensor.spec)
    demand(
      !readByKernel || allowed.includes(dtype),
      () => `${tensor.value} is ${dtype}, kernels take ${allowed.join()}`,
    )
    const perTensor = tensor.role !== 'activation' || tensor.spec.granularity.kind === 'tensor'
    demand(perTensor || target.activations.granularity !== 'tensor', () => `${tensor.value} has a scale per channel`)
  }
}

function kernelTypes(tensor: TensorPlan, target: Target): readonly string[] {
  if (tensor.role === 'bias') return [storageDType({ bits: target.bias?.bits ?? 0, signed: true })]
  const { activations, weights } = target.kernels
  // An operand that is constant but not a product's weight is an activation to its kernel.
  return tensor.role === 'weight' ? [...weights, ...activations] : activations
}

function readersRead(plan: QuantPlan, model: Model): void {
  const values = valuesByName(model.graph)
  const seen = new Set<string>()
  for (const { value, readers, graphOutput } of plan.tensors) {
    const consumers =
      values
        .get(value)
        ?.consumers()
        .map((node) => node.name) ?? []
    const strangers = readers.filter((reader) => !consumers.includes(reader))
    demand(values.has(value) && strangers.length === 0, () => `"${value}" is not read by ${strangers.join(', ')}`)
    demand(readers.length > 0 || graphOutput === true, () => `nothing reads the quantized "${value}"`)
    for (const edge of readers.map((reader) => `${value} → ${reader}`)) {
      demand(!seen.has(edge), () => `${edge} is planned twice`)
      seen.add(edge)
    }
  }
}

function groupsPartition(plan: QuantPlan): void {
  const groups = groupsOf(plan)
  demandEqual([...groups.values()].flat().length, plan.tensors.length, 'members of all groups')
  for (const [group, members] of groups) {
    const measured = members.filter((m) => m.source.kind !== 'follow')
    demand(measured.length > 0, () => `group ${group} has nobody to follow`)
    for (const member of members)
      demandEqual(member.spec, members[0]?.spec, `spec of ${member.value} in group ${group}`)
  }
  for (const { value, source } of plan.tensors) {
    if (source.kind !== 'bias') continue
    const known = groups.has(source.input) && groups.has(source.weight)
    demand(known, () => `bias ${value} takes its scale from ${source.input} and ${source.weight}, which have none`)
  }
}

/** The search keeps nodes in float that sum products, and plans again on the same statistics. */
function coversExceptions(
  made: QuantPlan,
  model: Model,
  target: Target,
  planWith: (options: PlannerOptions) => QuantPlan,
): void {
  const tensors = [...made.tensors, ...latentTensors(model, made, target)]
  const known = new Set(
    tensors.filter((t) => t.source.kind === 'calibrate' || t.source.kind === 'follow').map((t) => t.value),
  )
  for (const { node, reason } of made.nodes) {
    if (reason.code !== 'INTEGER_KERNEL') continue
    const missing = measuredTensors(planWith({ floatNodes: [node] })).filter((t) => !known.has(t.value))
    demand(
      missing.length === 0,
      () => `with ${node} in float, "${missing[0]?.value}" is quantized and was not measured`,
    )
  }
}

function isDeterministic(plan: QuantPlan, model: Model, again: (model: Model) => QuantPlan): void {
  const before = structuralHash(model)
  demandEqual(again(model), plan, 'the second plan')
  demandEqual(JSON.parse(JSON.stringify(plan)), plan, 'the plan read back from JSON')
  demand(structuralHash(model) === before, () => 'planning changed the model')
}
