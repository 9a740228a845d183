import { must, problem } from '../../util/index.ts'
import { complete } from '../completeness.ts'
import type { Exporter } from '../define.ts'
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
    const { graph, problems } = translate(cx)
    const [first] = problems
    if (first) throw problem(first.code, first.message, first)
    const bytes = writeFlatbuffer(must(graph, 'graph'), 'written by fewbit')
    return [{ kind: 'file', name: `${cx.name}.tflite`, bytes }]
  },
}
