import { type Engine, parseBody } from '@fewbit/core/engine'
import {
  type AnyFakeQuantizer,
  type ChosenFakeQuantizer,
  chooseFakeQuantizer,
  obstacleOf,
  QAT_DOMAIN,
  type QuantizerCall,
  type QuantizerRole,
  type QuantizerState,
  roundedToPowerOfTwo,
} from '@fewbit/core/fake-quantizers'
import { Tensor } from '@fewbit/core/ir'
import {
  apotLevels,
  fakeQuantize,
  type Granularity,
  gridOf,
  paramsFromData,
  type QuantParams,
  type QuantSpec,
  quantSpec,
} from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { type OptionSpec, type OptionValue, rng } from '@fewbit/core/util'
import { gauss } from '../lcg-data.ts'
import {
  type FakeQuantizerCase,
  type FakeQuantizerRun,
  runFakeQuantizers,
  runFakeQuantizersForward,
} from '../run-fake-quantizer.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'

/** What every fake-quantizer promises, of weights and of activations as far as it is for them. */
export function fakeQuantizerContract(quantizer: AnyFakeQuantizer, engine: Engine): ContractCheck[] {
  const subject = new Subject(quantizer, engine)
  return [
    { name: 'has options that take their defaults, and all do something', run: () => subject.optionsMatter() },
    { name: 'calls operators that it lists, whose bodies can be read', run: () => subject.listsOperators() },
    { name: 'computes what is deployed', run: () => subject.computesWhatIsDeployed() },
    { name: 'computes the same in every opset', run: () => subject.isOfEveryOpset() },
    { name: 'quantizes each channel as it would a tensor', run: () => subject.separatesChannels() },
    {
      name: 'has gradients that are finite and proportional to those that it gets',
      run: () => subject.passesGradients(),
    },
  ]
}

const levels = (bits: number, signed: boolean) =>
  quantSpec({ bits, signed, symmetric: true, format: { kind: 'levels', levels: apotLevels(bits, { signed }) } })

const SPECS: readonly QuantSpec[] = [
  quantSpec({ bits: 4, signed: true, symmetric: true }),
  quantSpec({ bits: 8, signed: true, symmetric: true, narrow: true }),
  quantSpec({ bits: 3, signed: true, symmetric: true, bothEnds: true }),
  quantSpec({ bits: 4, signed: false, symmetric: false }),
  quantSpec({ bits: 8, signed: false, symmetric: true }),
  quantSpec({ bits: 4, signed: true, symmetric: false, rounding: 'half-away' }, undefined, { reciprocal: true }),
  quantSpec({ bits: 4, signed: false, symmetric: false }, undefined, { rounding: 'half-up', addThenRound: true }),
  quantSpec({ bits: 4, signed: true, symmetric: true, powerOfTwo: 'ceil' }),
  quantSpec({ bits: 8, signed: false, symmetric: true, powerOfTwo: 'round' }),
  levels(4, true),
  levels(3, false),
]

/** The oldest that networks with fake-quantizers are written in, some between, and the newest that is common. */
const OPSETS = [13, 17, 18, 21]

const DIMS = [4, 3, 3, 2] as const
const COUNT = DIMS.reduce((n, d) => n * d, 1)
const CHANNEL: Granularity = { kind: 'channel', axis: 0 }

type Chosen = Record<string, OptionValue>

class Subject {
  readonly #quantizer: AnyFakeQuantizer
  readonly #engine: Engine

  constructor(quantizer: AnyFakeQuantizer, engine: Engine) {
    this.#quantizer = quantizer
    this.#engine = engine
  }

  optionsMatter(): void {
    const { options, summary, source } = this.#quantizer
    demand(summary.length > 0 && source.length > 0, () => 'there is no summary or no source')
    for (const [name, option] of Object.entries(options)) {
      demand(option.summary.length > 0, () => `option "${name}" has no summary`)
      const differs = others(option).some((value) => this.#matters(name, value))
      demand(differs, () => `option "${name}" changes nothing`)
    }
  }

  /** By itself, or where one other option is not as it is by default. */
  #matters(name: string, value: OptionValue): boolean {
    const alone: Chosen[] = [{}]
    const beside = Object.entries(this.#quantizer.options).flatMap(([other, option]): Chosen[] =>
      other === name ? [] : others(option).map((v) => ({ [other]: v })),
    )
    return [...alone, ...beside].some((given) =>
      this.#cases().some((c) => this.#isChanged(c, given, { ...given, [name]: value })),
    )
  }

  listsOperators(): void {
    const types = this.#quantizer.ops.map((op) => op.type)
    demandEqual(new Set(types).size, types.length, 'different operator types')
    for (const op of this.#quantizer.ops) {
      demandEqual(op.domain, QAT_DOMAIN, `domain of ${op.type}`)
      parseBody(op)
    }
    for (const { role, spec } of this.#cases()) {
      const { op, attributes } = new Case(this.#choose(), role, spec).call
      demand(this.#quantizer.ops.includes(op), () => `${op.type} is not among its operators`)
      const numbers = Object.values(attributes).flatMap((a) => (Array.isArray(a.value) ? a.value : [a.value]))
      demand(
        numbers.every((v) => typeof v !== 'number' || Number.isFinite(v)),
        () => `${op.type} has attributes that JSON does not hold`,
      )
    }
  }

  async computesWhatIsDeployed(): Promise<void> {
    const deployable = this.#cases().filter((c) => !this.#obstacle(c.role, c.spec))
    const subjects = deployable.flatMap(({ role, spec }) => {
      const start = new Case(this.#choose(), role, spec)
      return [start, start.trained()]
    })
    const runs = await this.#run(subjects)
    for (const [i, subject] of subjects.entries()) subject.isDeployed(runs[i]?.y ?? [])
  }

  /** An engine reads a function's nodes in the opset of the model. */
  async isOfEveryOpset(): Promise<void> {
    const subjects = this.#cases().map(({ role, spec }) => new Case(this.#choose(), role, spec).toRun(1))
    const [old, ...later] = await Promise.all(
      OPSETS.map((opset) => runFakeQuantizersForward(this.#engine, subjects, opset)),
    )
    for (const outputs of later) demandEqual(outputs, old, 'outputs in a later opset')
  }

  async separatesChannels(): Promise<void> {
    const found = this.#cases(false).filter((c) => !this.#obstacle(c.role, { ...c.spec, granularity: CHANNEL }))
    const some = found.filter((_, i) => i % 3 === 0)
    const size = COUNT / DIMS[0]
    for (const { role, spec } of some) {
      const whole = new Case(this.#choose(), role, { ...spec, granularity: CHANNEL })
      const parts = Array.from({ length: DIMS[0] }, (_, c) => new Case(this.#choose(), role, spec, c))
      const [all, ...each] = await this.#run([whole, ...parts])
      each.forEach(({ y }, c) => {
        demandEqual(all?.y.slice(c * size, (c + 1) * size), y, `channel ${c} of ${role}s of ${spec.bits} bits`)
      })
    }
  }

  async passesGradients(): Promise<void> {
    const subjects = this.#cases().map(({ role, spec }) => new Case(this.#choose(), role, spec).trained())
    const [once, twice] = [await this.#run(subjects), await this.#run(subjects, 2)]
    for (const [i, { gradients }] of once.entries()) {
      for (const [name, gradient] of Object.entries(gradients)) {
        const double = twice[i]?.gradients[name] ?? []
        const fits = (g: number, j: number) =>
          Number.isFinite(g) && Math.abs((double[j] ?? 0) - 2 * g) <= 1e-4 * Math.abs(g) + 1e-5
        demand(
          gradient.every(fits),
          () => `the gradient by ${name}: ${gradient.slice(0, 4)}, twice ${double.slice(0, 4)}`,
        )
      }
      const moves = Object.values(gradients).some((gradient) => gradient.some((g) => g !== 0))
      demand(moves, () => `${subjects[i]?.label}: every gradient is zero`)
    }
  }

  /** @param factor of the outputs' gradients. */
  #run(subjects: readonly Case[], factor = 1): Promise<FakeQuantizerRun[]> {
    return runFakeQuantizers(
      this.#engine,
      subjects.map((subject) => subject.toRun(factor)),
    )
  }

  /** The specs that it takes, for each role, per tensor and per channel. */
  #cases(channels = true): { readonly role: QuantizerRole; readonly spec: QuantSpec }[] {
    const granularities: Granularity[] = channels ? [{ kind: 'tensor' }, CHANNEL] : [{ kind: 'tensor' }]
    const all = this.#quantizer.roles.flatMap((role) =>
      SPECS.flatMap((spec) => granularities.map((granularity) => ({ role, spec: { ...spec, granularity } }))),
    )
    const found = all.filter(({ role, spec }) => !this.#obstacle(role, spec))
    // What no target can hold is still trained: with the specs that its format allows.
    return found.length > 0 ? found : all.filter(({ spec }) => !spec.format && spec.granularity.kind === 'tensor')
  }

  #obstacle = (role: QuantizerRole, spec: QuantSpec) => obstacleOf(this.#choose(), role, spec, TARGETS.academic)

  #choose(options: Chosen = {}): ChosenFakeQuantizer {
    return chooseFakeQuantizer({ name: this.#quantizer.name, options }, { [this.#quantizer.name]: this.#quantizer })
  }

  #isChanged({ role, spec }: { role: QuantizerRole; spec: QuantSpec }, before: Chosen, after: Chosen): boolean {
    const show = (chosen: ChosenFakeQuantizer) => {
      const { op, inputs, attributes, training } = new Case(chosen, role, spec).call
      const shown = inputs.map(({ initial, ...input }) => ({ ...input, initial: Array.from(initial.numbers()) }))
      return JSON.stringify([op.type, shown, attributes, training], (_, v) => (typeof v === 'bigint' ? `${v}` : v))
    }
    return show(this.#choose(after)) !== show(this.#choose(before))
  }
}

/** Other values that an option takes. */
function others({ default: standard, choices, least = -Infinity, most = Infinity }: OptionSpec): OptionValue[] {
  if (choices) return choices.filter((choice) => choice !== standard)
  if (typeof standard === 'boolean') return [!standard]
  return [0.3, 2, 0].filter((v) => v !== standard && v >= least && v <= most)
}

/** A fake-quantizer's call on normal data. */
class Case {
  readonly call: QuantizerCall
  readonly #chosen: ChosenFakeQuantizer
  readonly #spec: QuantSpec
  readonly #x: Tensor

  constructor(
    chosen: ChosenFakeQuantizer,
    role: QuantizerRole,
    spec: QuantSpec,
    channel?: number,
    call?: QuantizerCall,
  ) {
    this.#chosen = chosen
    this.#spec = spec
    const all = gauss(7, COUNT)
    // Channels of different magnitude, so that their scales differ; the last is never negative.
    const data = all.map((v, i) => {
      const c = Math.floor((i * DIMS[0]) / COUNT)
      return spec.signed || !spec.symmetric ? v * (c + 1) : Math.abs(v) * (c + 1)
    })
    const size = COUNT / DIMS[0]
    const values = channel === undefined ? data : data.slice(channel * size, (channel + 1) * size)
    const dims = channel === undefined ? DIMS : [1, ...DIMS.slice(1)]
    this.#x = Tensor.float32(dims, values)
    const params = paramsFromData(values, dims, spec)
    const cx = { role, spec, params, shape: dims, values }
    this.call = call ?? chosen.quantizer.init(cx, chosen.options)
  }

  get label(): string {
    return `${this.call.op.type} of ${this.#spec.bits} bits`
  }

  /** The same with parameters that training moved. */
  trained(): Case {
    const random = rng(11)
    const move = (initial: Tensor) =>
      Tensor.float32(
        initial.dims,
        initial.numbers().map((v) => v * (0.8 + 0.3 * random.next()) + 1e-3),
      )
    const inputs = this.call.inputs.map((input) => (input.trained ? { ...input, initial: move(input.initial) } : input))
    return new Case(this.#chosen, 'weight', this.#spec, undefined, { ...this.call, inputs })
  }

  /** @param factor of the output's gradient. */
  toRun(factor: number): FakeQuantizerCase {
    const dy = gauss(9, this.#x.size).map((v) => v * factor)
    return { call: this.call, x: this.#x, dy: Tensor.float32(this.#x.dims, dy) }
  }

  isDeployed(y: readonly number[]): void {
    const { values, params, isTransformed } = this.#deployed()
    const expected = fakeQuantize(values, params, DIMS)
    y.forEach((v, i) => {
      const step = Math.max(...params.scale)
      const error = Math.abs(v - (expected[i] as number))
      // Where float32 and double disagree about which side of a half-way point a transformed weight lies on, so do codes.
      const isTie = isTransformed && isNearTie(values[i] as number, params, i)
      demand(error <= 1e-5 * step || isTie, () => {
        return `${this.label}: element ${i} is ${v}, deployed ${expected[i]}, from ${values[i]}`
      })
    })
  }

  #deployed() {
    const { quantizer, options } = this.#chosen
    const state: QuantizerState = Object.fromEntries(
      this.call.inputs.map(({ name, initial, powerOfTwo }) => [
        name,
        powerOfTwo === undefined ? initial : roundedToPowerOfTwo(initial, powerOfTwo),
      ]),
    )
    const weights = { values: this.#x.numbers() as Float32Array, dims: this.#x.dims }
    const params = quantizer.toParams(this.#spec, state, options)
    const stored = quantizer.deployedWeights?.(weights, this.#spec, state, options) ?? weights.values
    return { values: stored, params, isTransformed: stored !== weights.values }
  }
}

function isNearTie(value: number, { scale, spec }: QuantParams, i: number): boolean {
  const channel = scale.length > 1 ? Math.floor((i * scale.length) / COUNT) : 0
  const steps = value / (scale[channel] as number)
  if (spec.format) return gridOf(spec.format, 1).thresholds.some((t) => Math.abs(steps - t) < 1e-3)
  return Math.abs(Math.abs(steps - Math.floor(steps)) - 0.5) < 1e-3
}
