import { retarget } from '../../import/index.ts'
import { cloneModel, type Model } from '../../ir/index.ts'
import { type Deployed, deploy, type QFloat } from '../../qat/index.ts'
import type { ParamsTable, QuantPlan, Target } from '../../quant/index.ts'
import { findTarget, targetAtBits } from '../../targets/index.ts'
import type { Diagnostic } from '../../util/index.ts'
import type { Data } from '../data.ts'
import { executionFor } from '../execution.ts'
import { writeQuantized } from '../finish.ts'
import { Run, type RunOptions } from '../run.ts'
import { type Conversion, measureConversion } from './measure-conversion.ts'
import { contextOf } from './qat-context.ts'
import { stampTrained } from './trained-recipe.ts'

export interface ConvertQatOptions extends RunOptions {
  /** Default: the target that the network was prepared for. Another one is planned anew, on the ranges that were trained. */
  readonly target?: string
  /** Data to compare both networks on, fitted to the model or not. */
  readonly data?: Data
  /** How many of them. Default 64. */
  readonly samples?: number
  /** Also compares every quantized tensor. */
  readonly tensors?: boolean
}

export interface ConvertQatResult {
  readonly model: Model
  /** The float network that plan and parameters speak of: what exporters start from. */
  readonly float: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  /** How the quantized network differs from the one with fake-quantizers, where data were given. */
  readonly conversion?: Conversion
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * The quantized network of a network with fake-quantizers: BatchNormalization is folded, weights become codes, and every fake-quantizer a
 * pair of QuantizeLinear and DequantizeLinear.
 * @throws FewbitError QAT_DISABLED; TARGET_UNKNOWN, and RETARGET_* for another target that quantizes what was not trained.
 */
export async function convertQat(qfloat: QFloat, options: ConvertQatOptions): Promise<ConvertQatResult> {
  const run = new Run(options)
  const { record } = qfloat
  const target = targetFor(options.target, record, run)
  const own = await run.stage('fold', () => deploy(qfloat, contextOf(run), run.diagnostics))
  const { float, plan, params } = target.name === record.target ? own : anew(own, target.name, qfloat, run)
  const execution = executionFor(target)
  const model = await run.stage('write', () => writeQuantized(float, { plan, params }, execution, run))
  stampTrained(model, qfloat, target.name)
  const { data, samples = 64, tensors = false } = options
  const conversion =
    data &&
    (await measureConversion({
      ...{ qfloat, engine: target.engine, quantized: model, plan, params },
      ...{ data, samples, tensors, execution, run },
    }))
  return { model, float, plan, params, ...(conversion ? { conversion } : {}), diagnostics: run.diagnostics.list }
}

/** The backend that was asked for; that of the preparation, too, where its rules were taken at bits that it has no kernels for. */
function targetFor(name: string | undefined, { target, scheme }: QFloat['record'], { registries }: Run): Target {
  const own = findTarget(target, registries.targets)
  if (name === undefined) return own
  const asked = findTarget(name, registries.targets)
  return targetAtBits(asked, scheme).target.name === own.name ? own : asked
}

/** The plan of another backend, on the ranges that were trained. */
function anew({ float, plan, params }: Deployed, name: string, { record }: QFloat, run: Run): Deployed {
  const target = findTarget(name, run.registries.targets)
  const found = retarget({ model: float, plan, params }, target, run.ops, { scheme: record.scheme })
  run.diagnostics.list.push(...found.diagnostics)
  return { float: cloneModel(float), plan: found.plan, params: found.params }
}
