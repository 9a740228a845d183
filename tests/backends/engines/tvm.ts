import { pythonBackend } from '../python.ts'
import { qdqFiles } from './openvino.ts'

export const tvm = pythonBackend({
  name: 'tvm',
  title: 'TVM Relax, LLVM, QDQ',
  target: 'tvm',
  packages: ['apache-tvm==0.27.0.post1', 'numpy==2.4.6', 'onnx==1.23.1'],
  module: 'tvm',
  script: 'tvm_engine.py',
  arithmetic: 'real',
  causes: ['its importer keeps the pairs, so that arithmetic between them is float32'],
  artefacts: qdqFiles,
})
