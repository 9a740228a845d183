import type { QuantParams } from '../quant/index.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { floatModel } from './float-model.ts'
import { type Json, jsonFile } from './text.ts'

/** First fields of the file; `readQuantization` refuses others. */
export const NATIVE = { format: 'fewbit-quantization', version: 1 } as const

/** fewbit's own form, with everything: the float model, the plan and all parameters. `readQuantization` reads it without loss. */
export const native: Exporter = {
  name: 'json',
  summary: "fewbit's own JSON: plan and parameters, beside the float model",
  check: (cx) => complete(cx),
  emit(cx) {
    const { name, plan } = cx
    const file = { ...NATIVE, model: `${name}.float.onnx`, plan: plan as unknown as Json, params: paramsOf(cx) }
    return [floatModel(cx), jsonFile(`${name}.fewbit.json`, file)]
  },
}

/** Parameters of the plan's groups, in plan order. */
function paramsOf({ plan, params }: ExportContext): Json {
  const groups = new Set(plan.tensors.map((t) => t.group))
  const known = [...groups].flatMap((group): [string, QuantParams][] => {
    const found = params.get(group)
    return found ? [[group, found]] : []
  })
  return new Map(known.map(([group, found]) => [group, found as unknown as Json]))
}
