import {
  type ChosenFakeQuantizer,
  chooseFakeQuantizer,
  type FakeQuantizers,
  obstacleOf,
  parseFakeQuantizer,
  type QuantizerRole,
} from '../../fake-quantizers/index.ts'
import {
  type BatchNormName,
  type Choices,
  choiceFor,
  type QuantizerChoice,
  type RangeObserver,
} from '../../qat/index.ts'
import type { Formats, QuantPlan, Target } from '../../quant/index.ts'
import { type Diagnostic, FewbitError, problem } from '../../util/index.ts'
import type { Data } from '../data.ts'
import type { QuantizeOptions } from '../quantize.ts'
import type { Run, RunOptions } from '../run.ts'
import type { QatPresetName } from './presets.ts'
import { contextOf } from './qat-context.ts'

/** A name, `name:key=value`, or a name with options. */
export type QuantizerRequest = string | { readonly name: string; readonly options?: QuantizerChoice['options'] }

type Shared =
  | 'target'
  | 'scheme'
  | 'weightObserver'
  | 'perTensor'
  | 'activations'
  | 'dispatch'
  | 'tails'
  | 'edgeBits'
  | 'overrides'
  | 'floatOps'
  | 'floatNodes'
  | 'smallLayers'
  | 'seed'

type Calibration = Omit<QuantizeOptions['calibration'], 'dataFree' | 'data'>

/** How a network is quantized while it trains. */
export interface QatQuantization extends Pick<QuantizeOptions, Shared> {
  /** What ranges begin with. The observer is the fake-quantizer's own unless one is given. */
  readonly calibration?: Calibration
  /** From `FAKE_QUANTIZERS`, for activations, and for weights where it can. Default `lsq`. */
  readonly fakeQuantizer?: QuantizerRequest
  /** Default: the same, or its partner. */
  readonly weightQuantizer?: QuantizerRequest
  /** Options by one name, which others given beside it change. */
  readonly preset?: QatPresetName
  /** What ranges of `fixed` fake-quantizers follow while training. Default: they stay. */
  readonly rangeObserver?: RangeObserver
  /** What becomes of BatchNormalization while training. Default `fold-torch`. */
  readonly batchNorm?: BatchNormName
  /** Refuses bits that the backend has no kernels for. Else its rules are taken at them, with a warning. Default false. */
  readonly strict?: boolean
}

/** Without data: training calibrates on the samples that it trains with. */
export interface PlannedQatOptions extends RunOptions, QatQuantization {}

export interface PrepareQatOptions extends RunOptions, Omit<QatQuantization, 'calibration'> {
  readonly calibration: Calibration & { readonly data: Data }
}

type Requests = Pick<QatQuantization, 'fakeQuantizer' | 'weightQuantizer'>

/** Options of `quantize` that mean something only there. */
const FOREIGN = {
  algorithms: 'quantize with them first, and train the float network that it gives back',
  floatWorst: 'name the nodes: floatNodes takes those that an analysis finds',
  recipe: 'give the options themselves',
  evaluation: 'evaluate the network before and after training',
} as const

/** @throws FewbitError QAT_OPTION for options that have no meaning here. */
export function refuseForeign(options: object): void {
  for (const [option, fix] of Object.entries(FOREIGN)) {
    if ((options as Record<string, unknown>)[option] === undefined) continue
    throw problem('QAT_OPTION', `"${option}" is nothing that training with fake-quantizers takes`, {
      at: { option },
      fix,
    })
  }
}

/**
 * Fake-quantizers by role, with all their options.
 * @throws FewbitError FAKE_QUANTIZER_UNKNOWN, FAKE_QUANTIZER_OPTION
 */
export function choicesOf({ fakeQuantizer = 'lsq', weightQuantizer }: Requests, known: FakeQuantizers): Choices {
  const asked = chosenOf(fakeQuantizer, known)
  const partner = () => chosenOf(asked.quantizer.partner ?? 'lsq', known)
  const forRole = (role: QuantizerRole) => (asked.quantizer.roles.includes(role) ? asked : partner())
  const weight = weightQuantizer === undefined ? forRole('weight') : chosenOf(weightQuantizer, known)
  return { activation: choiceOf(forRole('activation')), weight: choiceOf(weight) }
}

function chosenOf(request: QuantizerRequest, known: FakeQuantizers): ChosenFakeQuantizer {
  if (typeof request === 'string') return chooseFakeQuantizer(parseFakeQuantizer(request, known), known)
  return chooseFakeQuantizer({ name: request.name, options: { ...request.options } }, known)
}

const choiceOf = ({ quantizer, options }: ChosenFakeQuantizer): QuantizerChoice => ({ name: quantizer.name, options })

/** The observer that the fake-quantizers of weights want to begin with. */
export function weightObserverFor(
  { name }: QuantizerChoice,
  { symmetric }: { readonly symmetric: boolean },
  known: FakeQuantizers,
): string | undefined {
  const { weightObserver, affineWeightObserver } = chosenOf(name, known).quantizer
  return symmetric ? weightObserver : (affineWeightObserver ?? weightObserver)
}

/** The number formats that fake-quantizers of levels ask for, where the target holds any. */
export function formatsOf({ activation, weight }: Choices, target: Target, known: FakeQuantizers): Formats {
  if (target.formats !== 'any') return {}
  const [activations, weights] = [activation, weight].map((choice) => chosenOf(choice, known).quantizer.formatOf)
  return { ...(activations && { activations }), ...(weights && { weights }) }
}

/** What a run knows by name. */
type Known = Pick<Run, 'ops' | 'registries'>

/** @throws FewbitError QAT_OBSTACLE for each reason why a fake-quantizer cannot stand for what is planned. */
export function refuseObstacles(plan: QuantPlan, choices: Choices, target: Target, run: Known): void {
  const known = run.registries.fakeQuantizers
  const found = new Map<string, Diagnostic>()
  for (const { value, role, spec } of plan.tensors) {
    if (role === 'bias') continue
    const asked = choices[role === 'weight' ? 'weight' : 'activation']
    const choice = target.formats === 'any' ? choiceFor(asked, spec, contextOf(run)) : asked
    const chosen = chosenOf(choice, known)
    const text = obstacleOf(chosen, role === 'weight' ? 'weight' : 'activation', spec, target)
    const message = `fake-quantizer ${choice.name} cannot stand for "${value}" on ${target.title}: ${text}`
    const names = Object.keys(known).filter((name) => name !== choice.name)
    const others = `choose another one of ${names.join(', ')}`
    const fix = `${others}${chosen.quantizer.levels && !spec.format ? holdersOfFormats(run) : ''}`
    if (text && !found.has(text)) found.set(text, { code: 'QAT_OBSTACLE', level: 'error', message, at: { value }, fix })
  }
  if (found.size > 0) throw new FewbitError([...found.values()])
}

function holdersOfFormats({ registries }: Known): string {
  const names = Object.values(registries.targets).flatMap(({ formats, name }) => (formats === 'any' ? [name] : []))
  return `, or a target that holds any levels, because nothing runs it: ${names.join(', ')}`
}
