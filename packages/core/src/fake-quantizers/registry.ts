import type { OpDef, OpRegistry } from '../ops/index.ts'
import type { QuantSpec, Target } from '../quant/index.ts'
import {
  checkedOptions,
  type NamedRequest,
  namedIn,
  type OptionedKind,
  type OptionValues,
  parseRequest,
} from '../util/index.ts'
import { apot } from './apot.ts'
import type { AnyFakeQuantizer, FakeQuantizer, FakeQuantizers, QuantizerRole } from './define.ts'
import { dorefa } from './dorefa.ts'
import { dsq } from './dsq.ts'
import { ewgs } from './ewgs.ts'
import { fixed } from './fixed.ts'
import { lsq } from './lsq.ts'
import { lsqPlus } from './lsq-plus.ts'
import { n2uq } from './n2uq.ts'
import { pact } from './pact.ts'
import { POWER_OF_TWO_OP } from './power-of-two-scale.ts'
import { qdrop } from './qdrop.ts'
import { qil } from './qil.ts'
import { softRounding } from './soft-rounding.ts'
import { tqt } from './tqt.ts'

export const FAKE_QUANTIZERS = {
  fixed,
  lsq,
  'lsq-plus': lsqPlus,
  pact,
  dorefa,
  dsq,
  tqt,
  ewgs,
  qil,
  apot,
  n2uq,
  'soft-rounding': softRounding,
  qdrop,
} satisfies FakeQuantizers

export type FakeQuantizerName = keyof typeof FAKE_QUANTIZERS

const KIND: OptionedKind = { noun: 'fake-quantizer', code: 'FAKE_QUANTIZER', option: 'fake-quantizer' }

/** A fake-quantizer with all its options. */
export interface ChosenFakeQuantizer {
  readonly quantizer: FakeQuantizer
  readonly options: OptionValues
}

/**
 * Reads `lsq`, or `lsq:mask=rounded,…`.
 * @throws FewbitError FAKE_QUANTIZER_UNKNOWN, FAKE_QUANTIZER_OPTION
 */
export const parseFakeQuantizer = (text: string, quantizers: FakeQuantizers = FAKE_QUANTIZERS): NamedRequest =>
  parseRequest(KIND, text, quantizers)

/**
 * What was asked for, with its defaults.
 * @throws FewbitError FAKE_QUANTIZER_UNKNOWN, FAKE_QUANTIZER_OPTION
 */
export function chooseFakeQuantizer(
  { name, options }: NamedRequest,
  quantizers: FakeQuantizers = FAKE_QUANTIZERS,
): ChosenFakeQuantizer {
  const quantizer = namedIn(KIND, name, quantizers)
  // Options were checked against the table that belongs to it.
  return { quantizer: quantizer as unknown as FakeQuantizer, options: checkedOptions(KIND, quantizer, options) }
}

/** A registry that knows the operators of fake-quantizers, and of the rounding of their scales, as well, so that networks with them are inferred, run and differentiated. */
export function qatOps(ops: OpRegistry, quantizers: FakeQuantizers = FAKE_QUANTIZERS): OpRegistry {
  const all = new Set(Object.values(quantizers).flatMap((quantizer): readonly OpDef[] => quantizer.ops))
  return ops.extend(all.add(POWER_OF_TWO_OP))
}

/**
 * Why a fake-quantizer cannot stand for a tensor of this spec on this target; undefined if it can.
 */
export function obstacleOf(
  { quantizer, options }: ChosenFakeQuantizer,
  role: QuantizerRole,
  spec: QuantSpec,
  target: Target,
): string | undefined {
  if (!quantizer.roles.includes(role)) return `${quantizer.name} is for ${quantizer.roles.join(' and ')}s only`
  if (spec.granularity.kind === 'group')
    return 'scales of groups are not trained: choose one scale for each channel or tensor'
  if (spec.format && !quantizer.levels)
    return `${quantizer.name} makes evenly spaced codes, and those of this target are not`
  if (!spec.format && quantizer.levels)
    return `${quantizer.name} makes levels that are not evenly spaced, and this target stores integers`
  return quantizer.obstacle ? quantizer.obstacle(spec, target, options) : undefined
}

/** A fake-quantizer as a table shows it. JSON. */
export type FakeQuantizerInfo = Pick<AnyFakeQuantizer, 'name' | 'title' | 'summary' | 'source' | 'roles' | 'options'>

export const describeFakeQuantizers = (quantizers: FakeQuantizers = FAKE_QUANTIZERS): FakeQuantizerInfo[] =>
  Object.values(quantizers).map(({ name, title, summary, source, roles, options }) => {
    return { name, title, summary, source, roles, options }
  })
