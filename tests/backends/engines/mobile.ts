import { writeArtefacts } from '../artefacts.ts'
import { pythonBackend } from '../python.ts'

export const ncnn = pythonBackend({
  name: 'ncnn',
  title: 'ncnn, table',
  target: 'ncnn',
  packages: ['ncnn==1.0.20261020', 'numpy==2.4.6', 'onnx==1.23.1'],
  alone: ['pnnx==20261020'],
  module: 'ncnn',
  script: 'ncnn_engine.py',
  causes: [],
  async artefacts(cx, folder) {
    const [model, table] = await writeArtefacts(cx, 'ncnn', folder)
    return { model, table }
  },
})

export const mnn = pythonBackend({
  name: 'mnn',
  title: 'MNN, compression parameters',
  target: 'mnn',
  packages: ['MNN==3.6.1', 'numpy==2.4.6'],
  module: 'MNN',
  script: 'mnn_engine.py',
  causes: [],
  async artefacts(cx, folder) {
    const [model, table] = await writeArtefacts(cx, 'mnn', folder)
    return { model, table }
  },
})
