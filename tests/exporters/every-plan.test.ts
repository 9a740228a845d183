import {
  cmsisNn,
  dynamic,
  type ExportContext,
  type Exporter,
  openvino,
  qdq,
  qoperator,
  tflite,
} from '@fewbit/core/exporters'
import { assertValid } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { measuredTensors, planQuantization, resolveParams, type Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'
import { FIXTURE_NAMES, type FixtureName, fixture, outputError, randomFeeds } from '@fewbit/testkit'
import { expect, it } from 'vitest'
import { artifactsOf, modelOf, runAll } from './measured-plan.ts'

const FORMS: readonly Exporter[] = [qdq, qoperator, dynamic, openvino, tflite, cmsisNn]

/** No two ranges alike, so that scales which a kernel would have to share differ wherever the plan lets them. */
function planned(name: FixtureName, target: Target): ExportContext {
  const model = fixture(name)
  inferShapes(model, { ops: defaultOps })
  const plan = planQuantization(model, target, defaultOps)
  const activations = new Map(measuredTensors(plan).map((t, i) => [t.value, { lo: -2 - i / 8, hi: 3 + i / 5 }]))
  const params = resolveParams(model, plan, { activations }, new Diagnostics())
  return { name: 'net', model, plan, params, target }
}

/** The form, written, unless it says what stands in its way. */
function writes(form: Exporter, cx: ExportContext): boolean {
  const found = form.check(cx).filter((d) => d.level === 'error')
  const named = found.every((d) => d.at !== undefined || d.code === 'EXPORT_OPSET')
  expect([form.name, named]).toEqual([form.name, true])
  if (found.length > 0) return false
  for (const artifact of artifactsOf(form, cx)) if (artifact.kind === 'model') assertValid(artifact.model)
  return true
}

it.each(Object.entries<Target>(TARGETS))(
  'writes or refuses every plan for %s, and operators mean what pairs do',
  async (_, target) => {
    for (const name of FIXTURE_NAMES) {
      const cx = planned(name, target)
      const written = FORMS.map((form) => writes(form, cx))
      const runs = name === 'residual' || name === 'squeeze-excite' || name === 'upsampling'
      if (!written[0] || !written[1] || !runs) continue
      const feeds = [randomFeeds(cx.model, 3)]
      const [pairs] = await runAll(modelOf(qdq, cx), feeds, { optimization: 'simulate' })
      const [operators] = await runAll(modelOf(qoperator, cx), feeds)
      // Integer kernels round single codes the other way, and later layers carry them on: 2.4 % of the peak at most, seen here.
      expect(outputError(pairs ?? {}, operators ?? {})).toBeLessThan(0.05)
    }
  },
)
