import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { saveModel } from '@fewbit/engine-node'
import { type Backend, CRITERION } from '../backend.ts'
import { pythonBackend } from '../python.ts'

/** The plan is carried out with PyTorch's quantized operators, in eager mode; `pytorch_engine.py` says how. */
function pytorch(
  engine: string,
  title: string,
  extra: Pick<Backend, 'causes' | 'criterion' | 'arithmetic' | 'integers' | 'deviations'>,
): Backend {
  return pythonBackend({
    name: `pytorch-${engine}`,
    title,
    target: engine,
    packages: ['torch==2.13.0', 'numpy==2.4.6', 'onnx==1.23.1'],
    module: 'torch',
    script: 'pytorch_engine.py',
    ...extra,
    async artefacts({ float, plan, params }, folder) {
      await saveModel(float, join(folder, 'float.onnx'))
      writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan))
      writeFileSync(join(folder, 'params.json'), JSON.stringify(Object.fromEntries(params)))
      return { engine }
    },
  })
}

/** Vectors are rounded before the zero point is added, elements left over behind them afterwards. */
const LEFT_OVER = 'what runs element by element takes ties to even codes'
const FLOAT_MEAN = 'means are sums of float32 numbers, whose order decides ties'

export const fbgemm = pytorch('fbgemm', 'PyTorch, FBGEMM kernels', {
  criterion: CRITERION,
  arithmetic: { pools: 'half-even' },
  integers: 'fbgemm',
  deviations: {
    LeakyRelu: LEFT_OVER,
    GlobalAveragePool: FLOAT_MEAN,
    ReduceMean: FLOAT_MEAN,
  },
  causes: ['the bias is added in float and not rounded to int32'],
})

export const qnnpack = pytorch('qnnpack', 'PyTorch, QNNPACK kernels', {
  arithmetic: { pools: 'half-toward-zero', means: 'half-even' },
  causes: ['weights have one scale per tensor or per channel as planned; sums are requantized in float'],
})
