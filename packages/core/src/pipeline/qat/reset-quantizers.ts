import type { FakeQuantizers } from '../../fake-quantizers/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { type QFloat, type QuantizerMatch, replaceQuantizers, standardQat, switchQuantizers } from '../../qat/index.ts'
import { presetNamed, type QatPresetName } from './presets.ts'
import { choicesOf, type QuantizerRequest } from './qat-options.ts'

export interface ResetOptions {
  readonly preset?: QatPresetName
  readonly fakeQuantizer?: QuantizerRequest
  readonly weightQuantizer?: QuantizerRequest
  /** Default: all. */
  readonly match?: QuantizerMatch
  readonly ops?: OpRegistry
  readonly quantizers?: FakeQuantizers
}

/**
 * Puts other fake-quantizers in the place of those that a network has. They begin with the scales and zero points that were reached.
 * @throws FewbitError QAT_MATCH, QAT_PRESET, FAKE_QUANTIZER_*
 */
export function resetQuantizers(qfloat: QFloat, { preset, match = {}, ...options }: ResetOptions): QFloat {
  const cx = standardQat(options)
  const named = preset === undefined ? undefined : presetNamed(preset).options
  const requests = { ...(named?.fakeQuantizer ? { fakeQuantizer: named.fakeQuantizer } : {}), ...options }
  const replaced = replaceQuantizers(qfloat, choicesOf(requests, cx.quantizers), match, cx)
  if (!named?.rangeObserver) return replaced
  return switchQuantizers(replaced, match, { observer: named.rangeObserver }, cx)
}
