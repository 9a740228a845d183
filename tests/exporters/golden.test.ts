import {
  cmsisNn,
  dynamic,
  type ExportContext,
  type Exporter,
  openvino,
  qoperator,
  tflite,
} from '@fewbit/core/exporters'
import { type Model, printModel } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { measuredTensors, planQuantization, resolveParams, type Target } from '@fewbit/core/quant'
import { findTarget, onnxruntime } from '@fewbit/core/targets'
import { Diagnostics, digest } from '@fewbit/core/util'
import { type FixtureName, fixture } from '@fewbit/testkit'
import { expect, it } from 'vitest'
import type { TfGraph } from '../../packages/core/src/exporters/tflite/graph.ts'
import { readFlatbuffer } from '../../packages/core/src/exporters/tflite/read-flatbuffer.ts'
import { smallNetwork } from './contexts.ts'
import { artifactsOf, bytesOf } from './measured-plan.ts'
import { int8Target } from './tflite-target.ts'

/** A fixture with ranges of −2 to 3 everywhere, so that the artefact depends on no engine. */
const planned = (name: FixtureName, target: Target): ExportContext => contextFor(fixture(name), target)

function contextFor(model: Model, target: Target): ExportContext {
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

/** A TFLite graph as text: tensors with scale and zero point, constants with a digest of their bytes; operators with their options. */
function printTflite({ tensors, operators, inputs, outputs }: TfGraph): string {
  const name = (i: number) => `%${i}`
  const list = (values: readonly number[]) =>
    values.length > 4 ? `${values.slice(0, 2).join(', ')}, … ${values.length}` : values.join(', ')
  const lines = tensors.map((t, i) => {
    const q = t.quantization
    const grid = q
      ? ` scale ${list(q.scale)} zero ${list(q.zeroPoint)}${q.scale.length > 1 ? ` axis ${q.axis}` : ''}`
      : ''
    return `${name(i)} ${t.type}[${t.shape.join(',')}] ${t.name}${grid}${t.data ? ` = ${digest(t.data).slice(0, 8)}` : ''}`
  })
  const steps = operators.map((op) => {
    const options = Object.entries(op.options).map(([key, value]) => `${key} ${value}`)
    const call = `${op.type}.${op.version}(${op.inputs.map(name).join(', ')})`
    return `${op.outputs.map(name).join(', ')} = ${call}${options.length > 0 ? ` <${options.join(', ')}>` : ''}`
  })
  return [`inputs ${inputs.map(name)}`, `outputs ${outputs.map(name)}`, ...lines, ...steps, ''].join('\n')
}

it('cmsis-nn writes what was reviewed', async () => {
  const cx = contextFor(smallNetwork(), findTarget('cmsis-nn'))
  await expect(new TextDecoder().decode(bytesOf(cmsisNn, cx))).toMatchFileSnapshot('./golden/cmsis-nn.h')
})

it('tflite writes what was reviewed', async () => {
  const graph = readFlatbuffer(bytesOf(tflite, planned('branches', int8Target)))
  await expect(printTflite(graph)).toMatchFileSnapshot('./golden/tflite.txt')
})

it.each(MODELS.map(([exporter, target]) => [exporter.name, exporter, target] as const))(
  '%s writes what was reviewed',
  async (name, exporter, target) => {
    const [artifact, ...more] = artifactsOf(exporter, planned('branches', target))
    expect(more).toEqual([])
    const text = artifact?.kind === 'model' ? printModel(artifact.model, { inline: 2 }) : ''
    await expect(text).toMatchFileSnapshot(`./golden/${name}.txt`)
  },
)
