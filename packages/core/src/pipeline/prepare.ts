import { addFunctionBodies } from '../engine/index.ts'
import { cloneModel, type Model, nameNodes } from '../ir/index.ts'
import {
  convertOpset,
  inferShapesPass,
  PASSES,
  type Pass,
  type PassName,
  quantizePreparePasses,
  runPasses,
} from '../passes/index.ts'
import { parseScheme, type Target } from '../quant/index.ts'
import type { Run } from './run.ts'

/** QuantizeLinear has scales along an axis from opset 13 on. */
const QDQ_OPSET = 13

/**
 * Below 8 bits a BatchNormalization is not folded into the layer behind it: its factors would spread the columns of that layer's weight, whose
 * rows have one scale each. Backends that run integers only have no other place for it.
 */
function spreadsColumns(pass: Pass, { fallback }: Target, scheme: string | undefined): boolean {
  const bits = scheme === undefined ? undefined : parseScheme(scheme).weights?.bits
  return pass === PASSES['fold-batchnorm-forward'] && fallback !== 'none' && bits !== undefined && bits < 8
}

/**
 * The float network in the form that planner and calibration want: a copy at a sufficient opset, BatchNorm and constants
 * folded, biases merged, every value typed as far as it can be, in operators that the target has.
 * @param scheme what the network is prepared for, where that is known.
 * @param without passes that are left out.
 */
export async function prepare(
  model: Model,
  target: Target,
  run: Run,
  opset = QDQ_OPSET,
  scheme?: string,
  without: readonly PassName[] = [],
): Promise<Model> {
  const copy = cloneModel(model)
  // Graphs built in memory may have nodes without names, which plans and overrides go by.
  nameNodes(copy.graph)
  // What is written then runs wherever functions do.
  addFunctionBodies(copy, run.ops)
  const upgrade = copy.opset() < opset ? [convertOpset(opset)] : []
  const rewrites = (target.rewrites ?? []).map((name) => PASSES[name as PassName])
  const folds = quantizePreparePasses.filter((pass) => !spreadsColumns(pass, target, scheme))
  const isWanted = (pass: Pass) => !without.some((name) => PASSES[name] === pass)
  const passes = [...upgrade, inferShapesPass, ...[...folds, ...rewrites].filter(isWanted), inferShapesPass]
  await runPasses(copy, passes, run.passContext())
  return copy
}
