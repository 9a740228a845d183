import { allGraphs, cloneModel, freezeInputDefaults, type Model, type Node, nestedGraphs } from '../../ir/index.ts'
import { nodeLabel, type OpRegistry } from '../../ops/index.ts'
import { type FewbitError, problem } from '../../util/index.ts'
import { inferShapes } from '../infer-shapes.ts'
import type { Pass, PassContext } from '../pass.ts'
import { adapterContext } from './adapter.ts'
import { adaptersOf } from './adapters.ts'
import { irVersionFor } from './ir-version.ts'

export { irVersionFor } from './ir-version.ts'

/** ONNX Runtime reads nothing older, and nothing older follows numpy's broadcasting. */
const MIN_OPSET = 7
const MAX_OPSET = 25

interface Refusal {
  readonly node: string
  readonly reason: string
}

/**
 * Raises the ai.onnx opset of a model to `target`, one version at a time, rewriting the nodes whose definition changed.
 * Other domains are left alone; a model at `target` or above is untouched. All or nothing.
 *
 * The pass throws OPSET_UNSUPPORTED for models older than opset 7 or targets that are not known, and OPSET_CONVERSION,
 * naming every node with a reason, where a node has no equivalent.
 */
export function convertOpset(target: number): Pass {
  const pass: Pass = {
    name: 'convert-opset',
    summary: `raise the ai.onnx opset to ${target}`,
    run(model, cx) {
      if (model.opset() >= target) return { modified: false }
      checkVersions(model, target)
      inferShapes(model, { ops: cx.ops })
      // Whether a later step is possible shows only after the earlier ones, so they are tried on a copy.
      const refusals = [...refusedFunctions(model, target), ...convert(cloneModel(model), target, cx.ops).refusals]
      if (refusals.length > 0) throw refused(pass, refusals, target, cx)
      const { adapted } = convert(model, target, cx.ops)
      for (const { node, text } of adapted) cx.trace({ pass: pass.name, kind: 'fired', node, text })
      inferShapes(model, { ops: cx.ops })
      return { modified: true }
    },
  }
  return pass
}

function checkVersions(model: Model, target: number): void {
  const from = model.opset()
  if (from < MIN_OPSET) {
    const fix = `export the model again with opset ${MIN_OPSET} or later`
    throw problem('OPSET_UNSUPPORTED', `the model is written for opset ${from}; ${MIN_OPSET} is the oldest`, { fix })
  }
  if (target > MAX_OPSET) throw problem('OPSET_UNSUPPORTED', `opset ${target} is not known; ${MAX_OPSET} is the newest`)
}

/** Functions import opsets of their own, which engines expect to agree with the model's. */
function refusedFunctions(model: Model, target: number): Refusal[] {
  return model.functions
    .filter((f) => (f.opsets.get('') ?? target) < target)
    .map((f) => ({ node: f.name, reason: 'it is a model-local function; inline it first' }))
}

function refused(pass: Pass, refusals: readonly Refusal[], target: number, cx: PassContext): FewbitError {
  for (const { node, reason } of refusals) cx.trace({ pass: pass.name, kind: 'declined', node, text: reason })
  const notes = refusals.map(({ node, reason }) => `${node}: ${reason}`)
  const fix = `export the model again with opset ${target}`
  return problem('OPSET_CONVERSION', `the model cannot be converted to opset ${target}`, { notes, fix })
}

interface Conversion {
  readonly adapted: readonly { readonly node: string; readonly text: string }[]
  readonly refusals: readonly Refusal[]
}

function convert(model: Model, target: number, ops: OpRegistry): Conversion {
  const adapted: { node: string; text: string }[] = []
  const refusals = unknownOperators(model, ops)
  for (let version = model.opset() + 1; version <= target; version++) {
    for (const node of nodesOf(model)) {
      const { opType } = node
      const reason = adapt(node, version)
      if (reason) refusals.push({ node: nodeLabel(node), reason: `${opType} of opset ${version}: ${reason}` })
      if (reason === undefined)
        adapted.push({ node: nodeLabel(node), text: `${opType} rewritten for opset ${version}` })
    }
  }
  model.opsets.set('', target)
  raiseIrVersion(model, irVersionFor(target))
  return { adapted, refusals }
}

const nodesOf = (model: Model): Node[] =>
  [...nestedGraphs(model.graph)].flatMap((graph) => [...graph.nodes].filter((node) => node.domain === ''))

/** Undefined if the node was rewritten, null if there was nothing to do, otherwise why it could not be. */
function adapt(node: Node, version: number): string | null | undefined {
  const adapters = adaptersOf(node.opType, version)
  if (adapters.length === 0) return null
  const cx = adapterContext(node)
  for (const adapter of adapters) {
    const reason = adapter(cx)
    if (reason) return reason
  }
  return undefined
}

function unknownOperators(model: Model, ops: OpRegistry): Refusal[] {
  const own = new Set(model.functions.map((f) => `${f.domain}::${f.name}`))
  return [...allGraphs(model)]
    .flatMap((graph) => [...graph.nodes])
    .filter((node) => node.domain === '' && !ops.of(node) && !own.has(`::${node.opType}`))
    .map((node) => ({ node: nodeLabel(node), reason: `the operator ${node.opType} is not known` }))
}

/** From IR version 4 on, an initializer among the inputs is a default that callers may override, not a constant. */
function raiseIrVersion(model: Model, version: number): void {
  if (model.irVersion < 4 && version >= 4) freezeInputDefaults(model)
  model.irVersion = Math.max(model.irVersion, version)
}
