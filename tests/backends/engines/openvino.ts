import { join } from 'node:path'
import { probeModel } from '@fewbit/core/engine'
import { saveModel } from '@fewbit/engine-node'
import { writeArtefacts } from '../artefacts.ts'
import { type Case, CRITERION } from '../backend.ts'
import { dequantized } from '../cases.ts'
import { pythonBackend } from '../python.ts'

const OPENVINO = {
  target: 'openvino',
  packages: ['openvino==2026.4.1', 'numpy==2.4.6'],
  module: 'openvino',
  script: 'openvino_engine.py',
  criterion: CRITERION,
  arithmetic: { sums: 'real', pools: 'half-even' } as const,
  causes: ['a batch normalization behind a Relu becomes a quantizer with bounds for each channel'],
}

/** The same plan as ONNX with FakeQuantize. It has no other names for intermediates, so that only outputs are compared. */
export const openvino = pythonBackend({
  ...OPENVINO,
  name: 'openvino',
  title: 'OpenVINO CPU, FakeQuantize',
  async artefacts(cx, folder) {
    const [model] = await writeArtefacts(cx, 'openvino', folder)
    return { model }
  },
})

export const openvinoQdq = pythonBackend({
  ...OPENVINO,
  name: 'openvino-qdq',
  title: 'OpenVINO CPU, QDQ',
  artefacts: qdqFiles,
})

/** The QDQ form, and the same with its quantized intermediates as further outputs. */
export async function qdqFiles(cx: Case, folder: string): Promise<Record<string, unknown>> {
  const probes = dequantized(cx)
  await saveModel(cx.quantized, join(folder, 'model.onnx'))
  await saveModel(probeModel(cx.quantized, [...probes.values()]), join(folder, 'probed.onnx'))
  return { model: 'model.onnx', probed: 'probed.onnx', probes: Object.fromEntries(probes) }
}
