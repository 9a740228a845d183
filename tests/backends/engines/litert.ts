import { writeArtefacts } from '../artefacts.ts'
import { CRITERION } from '../backend.ts'
import { pythonBackend } from '../python.ts'

/** @param delegates XNNPACK's kernels, which LiteRT takes by default, instead of its own. */
const litertWith = (delegates: boolean, name: string, title: string) =>
  pythonBackend({
    name,
    title,
    target: 'tflite',
    packages: ['ai-edge-litert==2.3.0', 'numpy==2.4.6'],
    module: 'ai_edge_litert.interpreter',
    script: 'litert_engine.py',
    criterion: CRITERION,
    arithmetic: delegates
      ? { add: 'shared-shift', pools: 'half-away' }
      : { sums: 'fixed-point', add: 'fixed-point', means: 'fixed-point', pools: 'half-away' },
    ...(delegates ? {} : { integers: 'tflite' as const }),
    causes: [],
    async artefacts(cx, folder) {
      const [model] = await writeArtefacts(cx, 'tflite', folder)
      const values = cx.plan.tensors.filter((t) => t.role === 'activation').map((t) => t.value)
      return { model, values: [...new Set(values)], delegates }
    },
  })

export const litert = litertWith(false, 'litert', 'LiteRT, own kernels')
export const litertXnnpack = litertWith(true, 'litert-xnnpack', 'LiteRT, XNNPACK')
