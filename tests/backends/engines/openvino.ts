import { join } from 'node:path'
import { probeModel } from '@fewbit/core/engine'
import { saveModel } from '@fewbit/engine-node'
import { CRITERION } from '../backend.ts'
import { dequantized } from '../cases.ts'
import { pythonBackend } from '../python.ts'

export const openvino = pythonBackend({
  name: 'openvino',
  title: 'OpenVINO CPU, QDQ',
  target: 'onnxruntime',
  packages: ['openvino==2026.4.1', 'numpy==2.4.6'],
  module: 'openvino',
  script: 'openvino_engine.py',
  criterion: CRITERION,
  causes: [],
  async artefacts(cx, folder) {
    const probes = dequantized(cx)
    await saveModel(cx.quantized, join(folder, 'model.onnx'))
    await saveModel(probeModel(cx.quantized, [...probes.values()]), join(folder, 'probed.onnx'))
    return { model: 'model.onnx', probed: 'probed.onnx', probes: Object.fromEntries(probes) }
  },
})
