import { writeArtefacts } from '../artefacts.ts'
import { type Case, CRITERION } from '../backend.ts'
import { pythonBackend } from '../python.ts'

export const ncnn = pythonBackend({
  name: 'ncnn',
  title: 'ncnn, table',
  target: 'ncnn',
  packages: ['ncnn==1.0.20261020', 'numpy==2.4.6', 'onnx==1.23.1'],
  alone: ['pnnx==20261020'],
  module: 'ncnn',
  script: 'ncnn_engine.py',
  arithmetic: { sums: 'dequantized' },
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
  criterion: CRITERION,
  arithmetic: { sums: 'shifted', pools: 'floor' },
  causes: [],
  async artefacts(cx, folder) {
    const [model, table] = await writeArtefacts(cx, 'mnn', folder)
    return { model, table, nodes: operatorsOf(cx) }
  },
})

/** By the name of the value that a node makes: what it reads, and what it hands over behind the activation that it takes in. */
function operatorsOf({ float, plan }: Case) {
  const decisions = new Map(plan.nodes.map(({ node, decision }) => [node, decision]))
  const entries = [...float.graph.nodes].flatMap((node) => {
    const [made] = node.outputs
    if (decisions.get(node.name) !== 'integer' || !made) return []
    const next = made.useCount === 1 ? made.consumers()[0] : undefined
    const value = next && decisions.get(next.name) === 'fused' ? next.outputs[0] : made
    return [[made.name, { input: node.inputs[0]?.name, value: value?.name }]]
  })
  return Object.fromEntries(entries)
}
