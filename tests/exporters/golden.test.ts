import { dynamic, type ExportContext, type Exporter, openvino, qoperator } from '@fewbit/core/exporters'
import { printModel } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { measuredTensors, planQuantization, resolveParams, type Target } from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'
import { type FixtureName, fixture } from '@fewbit/testkit'
import { expect, it } from 'vitest'
import { artifactsOf } from './measured-plan.ts'

/** A fixture with ranges of −2 to 3 everywhere, so that the artefact depends on no engine. */
function planned(name: FixtureName, target: Target): ExportContext {
  const model = fixture(name)
  inferShapes(model, { ops: defaultOps })
  const plan = planQuantization(model, target, defaultOps)
  const activations = new Map(measuredTensors(plan).map((t) => [t.value, { lo: -2, hi: 3 }]))
  const params = resolveParams(model, plan, { activations }, new Diagnostics())
  return { name: 'net', model, plan, params, target }
}

/** Artefacts as reviewed text; `npx vitest run tests/exporters/golden.test.ts -u` rewrites them. */
const MODELS: readonly (readonly [Exporter, Target])[] = [
  [qoperator, onnxruntime],
  [dynamic, onnxruntime],
  [openvino, onnxruntime],
]

it.each(MODELS.map(([exporter, target]) => [exporter.name, exporter, target] as const))(
  '%s writes what was reviewed',
  async (name, exporter, target) => {
    const [artifact, ...more] = artifactsOf(exporter, planned('branches', target))
    expect(more).toEqual([])
    const text = artifact?.kind === 'model' ? printModel(artifact.model, { inline: 2 }) : ''
    await expect(text).toMatchFileSnapshot(`./golden/${name}.txt`)
  },
)
