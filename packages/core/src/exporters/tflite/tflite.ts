import { must, problem } from '../../util/index.ts'
import { complete } from '../completeness.ts'
import type { ExportContext, Exporter } from '../define.ts'
import type { TfOrders, TranslatedGraph } from './graph.ts'
import { holdsInt8 } from './int8.ts'
import { translate } from './translate.ts'
import { writeFlatbuffer } from './write-flatbuffer.ts'

/** A TensorFlow Lite file for its int8 kernels. Images are NHWC, inside and at both ends. */
export const tflite: Exporter = {
  name: 'tflite',
  summary: 'TensorFlow Lite flatbuffer with int8 kernels, images in NHWC',
  check(cx) {
    const found = complete(cx, { holds: holdsInt8 })
    return found.length > 0 ? found : [...translate(cx).problems]
  },
  emit(cx) {
    const bytes = writeFlatbuffer(translated(cx), 'written by fewbit')
    return [{ kind: 'file', name: `${cx.name}.tflite`, bytes }]
  },
}

/**
 * In which order the file has the axes of inputs and outputs: a tensor in order `o` holds as axis i what is axis `o[i]` in ONNX.
 * @throws FewbitError EXPORT_* for what TFLite has no operator for.
 */
export const tfliteOrders = (cx: ExportContext): TfOrders => translated(cx).orders

function translated(cx: ExportContext): TranslatedGraph {
  const { graph, problems } = translate(cx)
  const [first] = problems
  if (first) throw problem(first.code, first.message, first)
  return must(graph, 'graph')
}
