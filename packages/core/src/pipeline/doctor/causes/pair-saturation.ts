import type { Cause } from '../cause.ts'

/** Backends whose x86 kernels add two products of uint8 and int8 in 16 bits where the processor has no VNNI. */
const AFFECTED = ['onnxruntime', 'onnxruntime-web', 'openvino', 'tvm']

export const pairSaturation: Cause = {
  name: 'pair-saturation',
  title: 'Pairs of products can saturate on processors without VNNI',
  explanation:
    'x86 processors without VNNI add two products in 16 bits before they go into the accumulator. With these weights the pair can leave int16 and is cut off: right here, wrong there.',
  level: 'info',
  find: ({ accumulators, target }) =>
    AFFECTED.includes(target.name)
      ? [...accumulators].flatMap(([node, { saturablePairs = 0 }]) =>
          saturablePairs > 0
            ? [
                {
                  at: { node },
                  evidence: { 'share of pairs that can saturate': saturablePairs },
                  severity: saturablePairs,
                },
              ]
            : [],
        )
      : [],
  remedy: () => ({ text: 'for such processors quantize with --target onnxruntime-x86, whose weights have 7 bits' }),
}
