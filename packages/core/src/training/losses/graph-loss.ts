import { cloneModel, graft, type Model, serializeModel, type Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { convertOpset } from '../../passes/index.ts'
import { Diagnostics, digest, must, problem } from '../../util/index.ts'
import type { Loss, LossInputs, LossNeed } from '../loss.ts'

const NEEDS: Readonly<Record<string, LossNeed>> = {
  labels: 'labels',
  target: 'targets',
  teacher: 'teacher',
  teacher_logits: 'teacher',
}

/**
 * A loss given as an ONNX graph with one output, the number to be made small. Its inputs are called `output`, `logits` (what a final
 * Softmax takes), `labels` (int64), `target`, `teacher` or `teacher_logits`, for outputs behind the first with their position: `output.1`.
 * @throws FewbitError TRAIN_LOSS for other inputs or outputs, or operators that are functions of the model.
 */
export function graphLoss(model: Model, ops: OpRegistry): Loss {
  const inputs = model.graph.inputs.filter((value) => !value.constant)
  const kinds = inputs.map(({ name }) => name.split('.')[0] as string)
  const unknown = kinds.find((kind) => !(kind in NEEDS) && kind !== 'output' && kind !== 'logits')
  if (unknown !== undefined || model.graph.outputs.length !== 1 || model.functions.length > 0) throw badGraph(unknown)
  return {
    name: 'graph',
    needs: [...new Set(kinds.flatMap((kind) => NEEDS[kind] ?? []))],
    toJSON: () => ({ name: 'graph', options: { digest: digest(serializeModel(model)) } }),
    write(g, given) {
      const raised = cloneModel(model)
      convertOpset(given.opset).run(raised, { ops, diagnostics: new Diagnostics(), trace: () => {} })
      const open = raised.graph.inputs.filter((value) => !value.constant)
      const placed = graft(g.graph, raised, 'loss', new Map(open.map((input) => [input, fedBy(input, given)])))
      return placed.read(must(raised.graph.outputs[0], 'output'))
    },
  }
}

function fedBy({ name }: Value, { outputs, logits, labels, targets, teacher }: LossInputs): Value {
  const [kind, position = '0'] = name.split('.')
  const at = Number(position)
  const values: Readonly<Record<string, Value | undefined>> = {
    output: outputs[at],
    logits: logits[at],
    labels,
    target: targets?.[at],
    teacher: teacher?.outputs[at],
    teacher_logits: teacher?.logits[at],
  }
  const value = values[kind as string]
  if (value) return value
  throw problem('TRAIN_LOSS', `the loss graph takes "${name}", and the network has ${outputs.length} outputs`, {
    at: { value: name },
  })
}

const badGraph = (input: string | undefined): Error =>
  problem(
    'TRAIN_LOSS',
    input === undefined ? 'a loss graph has one output and no functions' : `a loss graph takes no "${input}"`,
    { fix: 'call its inputs output, logits, labels, target, teacher or teacher_logits' },
  )
