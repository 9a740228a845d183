import type { QuantizerRequest } from '../qat/index.ts'

/** What stands for activations and weights in a method of the literature. */
export interface QatMethod {
  readonly fakeQuantizer: QuantizerRequest
  readonly weightQuantizer?: QuantizerRequest
}

/**
 * Methods whose two halves are not a fake-quantizer and its partner. DoReFa's activations are clipped where they were calibrated, which is
 * what distinguishes it from PACT, whose weights are DoReFa's.
 */
const METHODS: Readonly<Record<string, QatMethod>> = {
  dorefa: { fakeQuantizer: 'fixed', weightQuantizer: 'dorefa' },
  pact: { fakeQuantizer: 'pact', weightQuantizer: 'dorefa' },
  qil: { fakeQuantizer: 'lsq', weightQuantizer: 'qil' },
}

/** Those of MQBench's table, and four more. */
export const BENCH_ALGORITHMS: readonly string[] = [
  ...['lsq', 'pact', 'dorefa', 'dsq', 'qil', 'apot', 'lsq-plus', 'ewgs', 'tqt', 'fixed'],
]

/** A name of the table; or a fake-quantizer for both roles; or two, activations first: `pact/lsq`. */
export function qatMethod(text: string): QatMethod {
  const known = Object.hasOwn(METHODS, text) ? METHODS[text] : undefined
  if (known) return known
  const [fakeQuantizer = text, weightQuantizer] = text.split('/')
  return { fakeQuantizer, ...(weightQuantizer !== undefined && { weightQuantizer }) }
}
