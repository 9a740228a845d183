import type { QuantPlan } from '../quant/index.ts'
import type { Latency } from './latency.ts'

/** Below this much arithmetic per node, the fixed cost of calling kernels outweighs what faster arithmetic saves. */
const SMALL_MACS_PER_NODE = 200_000

/** Why a quantized network is not faster than float, as one sentence, or undefined if it is faster. */
export function slowdownCause(latency: Latency, plan: QuantPlan): string | undefined {
  if (latency.ratio <= 1) return undefined
  const float = new Set(plan.nodes.filter((n) => n.decision === 'float').map((n) => n.node))
  const activations = plan.tensors.filter((t) => t.role === 'activation')
  const multiplying = plan.nodes.filter((n) => (n.macs ?? 0) > 0)
  const macs = multiplying.reduce((sum, n) => sum + (n.macs ?? 0), 0)
  const inFloat = multiplying.filter((n) => float.has(n.node)).reduce((sum, n) => sum + (n.macs ?? 0), 0)
  const causes = [
    macs > 0 && inFloat > macs / 4
      ? `${Math.floor((100 * inFloat) / macs)} % of the multiply-accumulates stay in float`
      : '',
    float.size > 0 && activations.length > 0
      ? `${float.size} of ${plan.nodes.length} nodes stay in float, and every step between float and integers is a conversion`
      : '',
    macs / Math.max(1, multiplying.length) < SMALL_MACS_PER_NODE
      ? 'the layers are so small that converting activations costs more than integer arithmetic saves'
      : '',
  ].filter(Boolean)
  return causes.join('; ') || 'this processor has no fast integer kernel for these layers'
}
