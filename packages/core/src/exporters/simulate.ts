import { materialize } from '../quant/index.ts'
import { checkOpset } from './check-onnx.ts'
import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'

/**
 * What a backend computes, by operators that every runtime has: pairs of QuantizeLinear and DequantizeLinear where they are exact, and elsewhere
 * ordinary nodes and weights rounded in float. It holds every plan, and stores no codes of what pairs do not hold.
 */
export const simulate: Exporter = {
  name: 'simulate',
  summary: 'ONNX that computes what the backend would, in float, on any runtime',
  check: (cx) => [...checkOpset(cx, 'simulate'), ...complete(cx)],
  emit({ name, model, plan, params }) {
    return [{ kind: 'model', name: `${name}.onnx`, model: materialize(model, plan, params, { form: 'simulate' }) }]
  },
}
