import { pullBack, readyToDifferentiate } from '@fewbit/core/autodiff'
import { type Engine, type Feeds, withCustomOps } from '@fewbit/core/engine'
import { POWER_OF_TWO_OP, QAT_DOMAIN, type QuantizerCall, type QuantizerInput } from '@fewbit/core/fake-quantizers'
import { attribute, Graph, GraphBuilder, Model, type Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { must } from '@fewbit/core/util'
import { runModel } from './run-model.ts'

/** A call of a fake-quantizer's operator, what it quantizes, and the output's gradient. */
export interface FakeQuantizerCase {
  readonly call: QuantizerCall
  readonly x: Tensor
  readonly dy: Tensor
  /** Random inputs by name; with them, or with `training`, the call is in the form in which it trains. */
  readonly noise?: Feeds
  readonly training?: boolean
}

export interface FakeQuantizerRun {
  readonly y: readonly number[]
  /** Gradients by `x` and by each trained input, by name. */
  readonly gradients: Readonly<Record<string, readonly number[]>>
}

export const runFakeQuantizer = async (
  engine: Engine,
  call: QuantizerCall,
  x: Tensor,
  dy: Tensor,
  further: Pick<FakeQuantizerCase, 'noise' | 'training'> = {},
): Promise<FakeQuantizerRun> => must((await runFakeQuantizers(engine, [{ call, x, dy, ...further }]))[0], 'run')

/** Runs operators forward, and backward from the gradients of their outputs; by their function bodies, in an engine, all at once. */
export async function runFakeQuantizers(
  engine: Engine,
  cases: readonly FakeQuantizerCase[],
): Promise<FakeQuantizerRun[]> {
  if (cases.length === 0) return []
  const ops = opsOf(cases)
  const written = callsModel(cases)
  const model = readyToDifferentiate(written, ops)
  const b = new GraphBuilder(model.graph)
  const named = new Map([...model.graph.inputs, ...model.graph.initializers].map((v) => [v.name, v]))
  const by = cases.flatMap((c, i) => trainedNames(c).map((name) => must(named.get(`${i}_${name}`), name)))
  const seeds = cases.map((_, i): [Value, Value] => [
    must(model.graph.outputs[i], 'output'),
    b.input(`${i}_dy`, tensorType('float32', cases[i]?.dy.dims as readonly number[])),
  ])
  const gradients = pullBack(model, ops, new Map(seeds), by)
  const names = new Map(gradients.map((gradient, i) => [by[i]?.name, b.output(b.op('Identity', [gradient])).name]))
  const feeds = Object.fromEntries(cases.flatMap(({ x, dy, noise = {} }, i) => feedsOf(i, { x, dy, ...noise })))
  const results = await runModel(withCustomOps(engine, ops), model, feeds)
  const numbers = (name: string | undefined) => Array.from(results[name ?? '']?.numbers() ?? [])
  return cases.map((c, i) => ({
    y: numbers(`${i}_y`),
    gradients: Object.fromEntries(trainedNames(c).map((name) => [name, numbers(names.get(`${i}_${name}`))])),
  }))
}

/** Outputs of calls in a model of an opset of ai.onnx. */
export async function runFakeQuantizersForward(
  engine: Engine,
  cases: readonly FakeQuantizerCase[],
  opset: number,
): Promise<(readonly number[])[]> {
  if (cases.length === 0) return []
  const model = callsModel(cases)
  model.opsets.set('', opset)
  const ops = opsOf(cases)
  const results = await runModel(
    withCustomOps(engine, ops),
    model,
    Object.fromEntries(cases.flatMap(({ x }, i) => feedsOf(i, { x }))),
  )
  return cases.map((_, i) => Array.from(results[`${i}_y`]?.numbers() ?? []))
}

const opsOf = (cases: readonly FakeQuantizerCase[]) =>
  defaultOps.extend(new Set([POWER_OF_TWO_OP, ...cases.map(({ call }) => call.op)]))

const feedsOf = (i: number, feeds: Feeds) => Object.entries(feeds).map(([name, t]) => [`${i}_${name}`, t] as const)

const trainedNames = ({ call }: FakeQuantizerCase): string[] => [
  'x',
  ...call.inputs.filter((input) => input.trained).map((input) => input.name),
]

function callsModel(cases: readonly FakeQuantizerCase[]): Model {
  const model = new Model(new Graph('calls'))
  model.opsets.set('', 18).set(QAT_DOMAIN, 1)
  const b = new GraphBuilder(model.graph)
  for (const [i, { call, x, noise, training }] of cases.entries()) {
    const { op, inputs, attributes } = call
    const data = b.input(`${i}_x`, tensorType('float32', x.dims))
    const further = inputs.map((input) => {
      const name = `${i}_${input.name}`
      if (noise?.[input.name]) return b.input(name, tensorType('float32', x.dims))
      return asRead(b, input, b.constant(name, input.initial))
    })
    const form = noise || training ? { ...attributes, ...call.training } : attributes
    b.output(b.op(op.type, [data, ...further], form, { domain: op.domain, output: `${i}_y` }))
  }
  return model
}

/** Rounded to a multiple of a power of two, where the call says so. */
function asRead(b: GraphBuilder, { powerOfTwo }: QuantizerInput, value: Value): Value {
  if (powerOfTwo === undefined) return value
  const { type, domain } = POWER_OF_TWO_OP
  return b.op(type, [value], { steps: attribute.float(powerOfTwo) }, { domain })
}
