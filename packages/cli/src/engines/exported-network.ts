import type { Feeds } from '@fewbit/core/engine'
import { type Artifact, EXPORTERS, type ExportContext, type Exporter, tfliteOrders } from '@fewbit/core/exporters'
import { importQuantized, isQuantized } from '@fewbit/core/import'
import { pairsFromNodes } from '@fewbit/core/integer'
import { asTensor, cloneModel, type Model, serializeModel, tensorType } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { planModel } from '@fewbit/core/pipeline'
import type { QuantParams } from '@fewbit/core/quant'
import { findTarget } from '@fewbit/core/targets'
import { concatBytes, FewbitError, problem } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { encodeMessage } from '@fewbit/engine-web'

/** An engine's own file format: its target is also the name of the exporter that writes it. */
export interface ExportedForm {
  readonly title: string
  readonly target: 'tflite' | 'ncnn' | 'mnn'
  /** Layers quantize what they read, so that what is seen outside are real values. */
  readonly quantizesReads?: true
}

/** What a program is handed that reads other files than ONNX. */
export interface ExportedNetwork {
  /** Files, and what their inputs and outputs are called: `Network` of `assets/host.py` reads it. */
  readonly message: Uint8Array
  /** Quantizers that the network has right before its outputs, by the name of the output. */
  readonly quantizers: ReadonlyMap<string, QuantParams>
  /** Outputs that are inputs behind their quantizers, by name: they need no engine. */
  readonly passed: ReadonlyMap<string, string>
}

type Axes = Readonly<Record<string, readonly number[]>>

/**
 * Writes a float or quantized network in the form of an engine, with the sizes of the tensors that it will be fed.
 * @throws FewbitError ENGINE_LOAD for what the form cannot hold.
 */
export async function exportNetwork(model: Model, feeds: Feeds, form: ExportedForm): Promise<ExportedNetwork> {
  const sized = withSizes(model, feeds)
  requireFloats(sized, form)
  const quantized = isQuantized(sized, defaultOps)
  pairsFromNodes(sized)
  const passed = takePassedInputs(sized)
  try {
    const cx = quantized ? quantizedContext(sized, form) : await floatContext(sized, form)
    const { inputs, outputs } = form.target === 'tflite' ? tfliteOrders(cx) : { inputs: {}, outputs: {} }
    const files = artifactsOf(form.quantizesReads ? withoutEnds(cx) : cx, form, quantized).map(fileOf)
    const head = {
      quantized,
      inputs: valuesOf(cx.model.graph.inputs, inputs),
      outputs: valuesOf(cx.model.graph.outputs, outputs),
      files: files.map(({ name, bytes }) => ({ name, bytes: bytes.length })),
    }
    const message = encodeMessage(head, concatBytes(files.map(({ bytes }) => bytes)))
    return { message, quantizers: quantizersOf(cx, passed), passed }
  } catch (error) {
    throw error instanceof FewbitError ? cannotHold(error, form, quantized) : error
  }
}

function withSizes(model: Model, feeds: Feeds): Model {
  const copy = cloneModel(model)
  for (const input of copy.graph.inputs) {
    const [type, tensor] = [asTensor(input.type), feeds[input.name]]
    if (tensor) input.type = tensorType(type?.dtype ?? tensor.dtype, tensor.dims)
  }
  inferShapes(copy, { ops: defaultOps, trustDeclared: false })
  return copy
}

function requireFloats({ graph }: Model, { title }: ExportedForm): void {
  const other = [...graph.inputs, ...graph.outputs].find((value) => asTensor(value.type)?.dtype !== 'float32')
  if (!other) return
  throw problem('ENGINE_LOAD', `${title} is handed networks of float32 tensors, and "${other.name}" is none`, {
    at: { value: other.name },
  })
}

/** Takes outputs away that are graph inputs behind their quantizers, and says of which. */
function takePassedInputs({ graph }: Model): Map<string, string> {
  const passed = new Map<string, string>()
  for (const output of [...graph.outputs]) {
    const input = output.producer?.inputs[0]?.producer?.inputs[0]
    if (output.producer?.opType !== 'DequantizeLinear' || !input || !graph.isInput(input)) continue
    passed.set(output.name, input.name)
    graph.outputs.splice(graph.outputs.indexOf(output), 1)
  }
  return passed
}

function quantizedContext(model: Model, { target }: ExportedForm): ExportContext {
  const table = findTarget(target)
  inferShapes(model, { ops: defaultOps })
  const imported = importQuantized(model, defaultOps, { target: table })
  return { name: 'network', target: table, ...imported }
}

/** Nothing is planned; the network is prepared as it is before quantizing. */
async function floatContext(model: Model, { target }: ExportedForm): Promise<ExportContext> {
  const { float, plan } = await planModel(model, { engine: nodeEngine(), target })
  const nothing = { ...plan, nodes: [], tensors: [], diagnostics: [] }
  return { name: 'network', target: findTarget(target), model: float, plan: nothing, params: new Map() }
}

/** The plan without quantizers that no layer reads. */
function withoutEnds(cx: ExportContext): ExportContext {
  const tensors = cx.plan.tensors
    .filter((tensor) => tensor.readers.length > 0)
    .map(({ graphOutput: _, ...tensor }) => tensor)
  return { ...cx, plan: { ...cx.plan, tensors } }
}

function artifactsOf(cx: ExportContext, { target }: ExportedForm, quantized: boolean): Artifact[] {
  const exporter: Exporter = EXPORTERS[target]
  const errors = quantized ? exporter.check(cx).filter(({ level }) => level === 'error') : []
  if (errors.length > 0) throw new FewbitError(errors)
  return exporter.emit({ ...cx, model: cloneModel(cx.model) })
}

const fileOf = (artifact: Artifact): { name: string; bytes: Uint8Array } =>
  artifact.kind === 'file' ? artifact : { name: artifact.name, bytes: serializeModel(artifact.model) }

const valuesOf = (values: Model['graph']['inputs'], axes: Axes) =>
  values
    .filter((value) => !value.constant)
    .map((value) => {
      const shape = asTensor(value.type)?.shape ?? []
      return { name: value.name, shape, order: axes[value.name] ?? shape.map((_, i) => i) }
    })

/** Rounding as the engine's quantizers do, which pairs cannot say. */
function quantizersOf(cx: ExportContext, passed: ReadonlyMap<string, string>): Map<string, QuantParams> {
  const { rounding, reciprocal } = cx.target
  const behind = cx.plan.tensors.filter((tensor) => tensor.role === 'activation')
  return new Map(
    behind.flatMap(({ value, group, graphOutput }): [string, QuantParams][] => {
      const found = cx.params.get(group)
      if (!found) return []
      const params = { ...found, spec: { ...found.spec, rounding, ...(reciprocal && { reciprocal }) } }
      const names = [...passed].flatMap(([output, input]) => (input === value ? [output] : []))
      return [...(graphOutput ? [value] : []), ...names].map((name) => [name, params])
    }),
  )
}

function cannotHold({ diagnostics }: FewbitError, { title, target }: ExportedForm, quantized: boolean): FewbitError {
  const first = diagnostics.find(({ level }) => level === 'error')
  return problem('ENGINE_LOAD', `${title} cannot hold the network: ${first?.message ?? 'it does not say why'}`, {
    ...(first?.at && { at: first.at }),
    ...(quantized && { fix: `quantize it for this engine: fewbit quantize … --target ${target}` }),
  })
}
