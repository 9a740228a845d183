import { pullBack, readyToDifferentiate } from '@fewbit/core/autodiff'
import { type Engine, withCustomOps } from '@fewbit/core/engine'
import { QAT_DOMAIN, type QuantizerCall } from '@fewbit/core/fake-quantizers'
import { Graph, GraphBuilder, Model, type Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { runModel } from './run-model.ts'

export interface FakeQuantizerRun {
  readonly y: readonly number[]
  /** Gradients by `x` and by each trained input, by name. */
  readonly gradients: Readonly<Record<string, readonly number[]>>
}

/** Runs a fake-quantizer's operator forward and, from the output's gradient `dy`, backward; by its function body, in an engine. */
export async function runFakeQuantizer(
  engine: Engine,
  call: QuantizerCall,
  x: Tensor,
  dy: Tensor,
  noise?: Tensor,
): Promise<FakeQuantizerRun> {
  const ops = defaultOps.extend([call.op])
  const model = readyToDifferentiate(callModel(call, x), ops)
  const b = new GraphBuilder(model.graph)
  const seed = b.input('dy', tensorType('float32', dy.dims))
  const named = (name: string) =>
    [...model.graph.inputs, ...model.graph.initializers].find((v) => v.name === name) as Value
  const names = ['x', ...call.inputs.filter((input) => input.trained).map((input) => input.name)]
  const gradients = pullBack(model, ops, new Map([[model.graph.outputs[0] as Value, seed]]), names.map(named))
  const outputs = gradients.map((gradient) => b.output(b.op('Identity', [gradient])).name)
  const results = await runModel(withCustomOps(engine, ops), model, { x, dy, ...(noise ? { noise } : {}) })
  const numbers = (name: string) => Array.from(results[name]?.numbers() ?? [])
  return {
    y: numbers('y'),
    gradients: Object.fromEntries(names.map((name, i) => [name, numbers(outputs[i] as string)])),
  }
}

function callModel({ op, inputs, attributes }: QuantizerCall, x: Tensor): Model {
  const model = new Model(new Graph('call'))
  model.opsets.set('', 18).set(QAT_DOMAIN, 1)
  const b = new GraphBuilder(model.graph)
  const data = b.input('x', tensorType('float32', x.dims))
  const further = inputs.map(({ name, initial, random }) =>
    random ? b.input(name, tensorType('float32', x.dims)) : b.constant(name, initial),
  )
  const y = b.op(op.type, [data, ...further], attributes, { domain: op.domain, output: 'y' })
  b.output(y)
  return model
}
