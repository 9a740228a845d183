import {
  asTensor,
  cloneModel,
  freezeInputDefaults,
  graft,
  type Model,
  type Shape,
  tensorType,
  type Value,
} from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { convertOpset, inferShapes } from '../passes/index.ts'
import { Diagnostics, must, problem } from '../util/index.ts'
import type { LossInputs } from './loss.ts'
import { classScores, countHits } from './losses/class-scores.ts'
import type { StepContext } from './step-context.ts'

export interface WrittenLoss {
  /** With regularizers. */
  readonly loss: Value
  readonly hits: Value | undefined
  readonly labels: Value | undefined
  /** Inputs by output of the network. */
  readonly targets: Readonly<Record<string, Value>>
}

/** Writes what is to be made small, and inputs for what it compares with. */
export function writeLoss(cx: StepContext, outputs: readonly Value[]): WrittenLoss {
  const { g, b, options } = cx
  const { loss, teacher } = options
  const logits = outputs.map((y) => logitsOf(y, options.ops))
  const needs = new Set(loss.needs)
  const labels = needs.has('labels') ? b.input('labels', tensorType('int32', labelShape(logits[0]))) : undefined
  const classes = labels && g.cast(labels, 'int64')
  const targets = Object.fromEntries(
    needs.has('targets') ? outputs.map((y) => [y.name, b.input(`target_${y.name}`, y.type)]) : [],
  )
  const inputs: LossInputs = {
    opset: cx.model.opset(),
    outputs,
    logits,
    ...(classes && { labels: classes }),
    ...(needs.has('targets') && { targets: outputs.map((y) => must(targets[y.name], 'target')) }),
    ...(needs.has('teacher') && { teacher: addTeacher(cx, teacher) }),
  }
  const terms = [loss.write(g, inputs), ...regularizers(cx)]
  const total = terms.length === 1 ? must(terms[0], 'loss') : g.op('Sum', terms)
  const isClasses = typeof asTensor(logits[0]?.type)?.shape?.[1] === 'number'
  const hits = classes && isClasses ? countHits(g, classes, classScores(g, logits, loss.name)) : undefined
  return { loss: total, hits, labels, targets }
}

function regularizers(cx: StepContext): Value[] {
  const { g, scalars, options, value } = cx
  return (options.regularizers ?? []).map((regularizer) => {
    const network = { parameter: value, value, scalars: scalars.add(regularizer.name, regularizer.scalars) }
    return regularizer.write(g, network)
  })
}

/** What a final Softmax takes: losses on classes are computed from logits. */
function logitsOf(output: Value, ops: OpRegistry): Value {
  const { producer } = output
  const normalizes = producer && ops.of(producer)?.quant.traits?.includes('normalizing')
  return normalizes ? must(producer.inputs[0], 'input') : output
}

/** [batch], or [batch, positions…]: the scores' shape without the classes. */
function labelShape(scores: Value | undefined): Shape | undefined {
  const shape = asTensor(scores?.type)?.shape
  const positions = shape?.slice(2) ?? []
  return shape && [shape[0] ?? null, ...(positions.every((d) => d === 1) ? [] : positions)]
}

/** Puts the teacher beside the network, on the same inputs. */
function addTeacher(cx: StepContext, teacher: Model | undefined): NonNullable<LossInputs['teacher']> {
  const { options, model, b } = cx
  if (!teacher) {
    const fix = 'give a teacher with the same inputs, or choose another loss'
    throw problem('TRAIN_TEACHER', `the loss ${options.loss.name} compares with a teacher, and there is none`, { fix })
  }
  const inputs = new Map(model.graph.inputs.map((value) => [value.name, value]))
  const raised = raisedTo(model, teacher, options.ops)
  const known = new Map(raised.graph.inputs.map((value): [Value, Value] => [value, sharedInput(value, inputs)]))
  for (const def of raised.functions) {
    if (!model.functions.some((f) => f.domain === def.domain && f.name === def.name)) model.functions.push(def)
  }
  const placed = graft(b.graph, raised, 'teacher', known)
  inferShapes(model, { ops: options.ops })
  const outputs = raised.graph.outputs.map((value) => placed.read(value))
  return { outputs, logits: outputs.map((value) => logitsOf(value, options.ops)) }
}

function raisedTo(model: Model, teacher: Model, ops: OpRegistry): Model {
  const copy = cloneModel(teacher)
  freezeInputDefaults(copy)
  const cx = { ops, diagnostics: new Diagnostics(), trace: () => {} }
  convertOpset(model.opset()).run(copy, cx)
  for (const [domain, version] of copy.opsets) model.opsets.set(domain, Math.max(version, model.opset(domain)))
  model.irVersion = Math.max(model.irVersion, copy.irVersion)
  return copy
}

function sharedInput(value: Value, inputs: ReadonlyMap<string, Value>): Value {
  const shared = inputs.get(value.name)
  if (shared) return shared
  throw problem('TRAIN_TEACHER', `the teacher's input "${value.name}" is none of the network's`, {
    at: { value: value.name },
    fix: `rename the teacher's inputs: the network has ${[...inputs.keys()].join(', ')}`,
  })
}
