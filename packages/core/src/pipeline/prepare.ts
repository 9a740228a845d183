import { addFunctionBodies } from '../engine/index.ts'
import { cloneModel, type Model, nameNodes } from '../ir/index.ts'
import {
  convertOpset,
  inferShapesPass,
  PASSES,
  type PassName,
  quantizePreparePasses,
  runPasses,
} from '../passes/index.ts'
import type { Target } from '../quant/index.ts'
import type { Run } from './run.ts'

/** QuantizeLinear has scales along an axis from opset 13 on. */
const QDQ_OPSET = 13

/**
 * The float network in the form that planner and calibration want: a copy at a sufficient opset, BatchNorm and constants
 * folded, biases merged, every value typed as far as it can be, in operators that the target has.
 */
export async function prepare(model: Model, target: Target, run: Run, opset = QDQ_OPSET): Promise<Model> {
  const copy = cloneModel(model)
  // Graphs built in memory may have nodes without names, which plans and overrides go by.
  nameNodes(copy.graph)
  // What is written then runs wherever functions do.
  addFunctionBodies(copy, run.ops)
  const upgrade = copy.opset() < opset ? [convertOpset(opset)] : []
  const rewrites = (target.rewrites ?? []).map((name) => PASSES[name as PassName])
  const passes = [...upgrade, inferShapesPass, ...quantizePreparePasses, ...rewrites, inferShapesPass]
  await runPasses(copy, passes, run.passContext())
  return copy
}
