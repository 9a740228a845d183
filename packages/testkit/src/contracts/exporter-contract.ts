import type { ExportContext, Exporter } from '@fewbit/core/exporters'
import { assertValid, cloneModel, type Model, serializeModel } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { measuredTensors, planQuantization, resolveParams, type Target } from '@fewbit/core/quant'
import { Diagnostics, digest } from '@fewbit/core/util'
import { FIXTURE_NAMES } from '../fixtures.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'
import { typedFixture } from './target-contract.ts'

/** What every exporter promises, on plans for a target that it serves. */
export function exporterContract(exporter: Exporter, target: Target): ContractCheck[] {
  const onFixtures = (check: (cx: ExportContext, original: Model) => void) => async () => {
    let written = 0
    for (const name of FIXTURE_NAMES) {
      const model = await typedFixture(name, defaultOps)
      const cx = context(cloneModel(model), target)
      if (lacksOperators(exporter, cx)) continue
      check(cx, model)
      written++
    }
    demand(
      4 * written >= FIXTURE_NAMES.length,
      () => `it has operators for ${written} of ${FIXTURE_NAMES.length} networks`,
    )
  }
  return [
    {
      name: 'has nothing against a complete plan',
      run: onFixtures((cx) => demandEqual(exporter.check(cx), [], 'check')),
    },
    { name: 'refuses a plan without parameters', run: onFixtures((cx) => refusesMissing(exporter, cx)) },
    {
      name: 'writes sound models with the interface of the original',
      run: onFixtures((cx, m) => keepsInterface(exporter, cx, m)),
    },
    { name: 'writes the same bytes twice', run: onFixtures((cx) => isDeterministic(exporter, cx)) },
  ]
}

/** A format may have no operator for a node, if it says for which. */
function lacksOperators(exporter: Exporter, cx: ExportContext): boolean {
  const found = exporter.check(cx)
  return found.length > 0 && found.every((d) => d.code === 'EXPORT_OPERATOR' && d.at?.node !== undefined)
}

/** Ranges of −2 to 3 everywhere: what they are does not matter here. */
function context(model: Model, target: Target): ExportContext {
  const plan = planQuantization(model, target, defaultOps)
  const activations = new Map(measuredTensors(plan).map((t) => [t.value, { lo: -2, hi: 3 }]))
  const params = resolveParams(model, plan, { activations }, new Diagnostics())
  return { name: 'net', model, plan, params, target }
}

function refusesMissing(exporter: Exporter, cx: ExportContext): void {
  if (cx.plan.tensors.length === 0) return
  const errors = exporter.check({ ...cx, params: new Map() }).filter((d) => d.level === 'error')
  demand(errors.length > 0, () => 'it accepts a plan without scales')
}

const signature = (model: Model) =>
  [model.graph.inputs, model.graph.outputs].map((values) => values.map(({ name, type }) => ({ name, type })))

function keepsInterface(exporter: Exporter, cx: ExportContext, original: Model): void {
  const artifacts = exporter.emit(cx)
  demand(artifacts.length > 0, () => 'it writes nothing')
  demandEqual(new Set(artifacts.map((a) => a.name)).size, artifacts.length, 'number of different file names')
  for (const artifact of artifacts) {
    if (artifact.kind !== 'model') continue
    assertValid(artifact.model)
    demandEqual(signature(artifact.model), signature(original), 'inputs and outputs')
  }
}

function isDeterministic(exporter: Exporter, cx: ExportContext): void {
  const digests = () =>
    exporter
      .emit({ ...cx, model: cloneModel(cx.model) })
      .map((a) => [a.name, digest(a.kind === 'model' ? serializeModel(a.model) : a.bytes)])
  demandEqual(digests(), digests(), 'the second export')
}
