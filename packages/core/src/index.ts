/** What applications use. Everything else is exported by layer: `@fewbit/core/ir`, `@fewbit/core/passes`, … */
export {
  ALGORITHMS,
  type Algorithm,
  type AlgorithmRequest,
  describeAlgorithms,
  parseAlgorithm,
} from './algorithms/index.ts'
export { type Difference as TensorDifference, METRICS, type MetricName, type Tolerance } from './analysis/index.ts'
export type { DataSource, Dataset, Engine, Feeds, Sample, Session } from './engine/index.ts'
export { type Artifact, complete, EXPORTERS, type ExportContext, type Exporter } from './exporters/index.ts'
export { type ImportedModel, type ImportOptions, importQuantized, isQuantized } from './import/index.ts'
export { Model, Tensor } from './ir/index.ts'
export { OBSERVERS, type Observer } from './observers/index.ts'
export { attrs, defaultOps, defineOp, type OpDef } from './ops/index.ts'
export { type FixedInputs, fixInputs, PASSES, type Pass } from './passes/index.ts'
export * from './pipeline/index.ts'
export {
  BATCH_NORM_STRATEGIES,
  type BatchNormName,
  isQFloat,
  liftToFloat,
  type QFloat,
  type QFloatRecord,
  type QuantizerMatch,
  type QuantizerSwitches,
  qatTrainable,
  type RangeObserver,
  readQFloat,
  switchQuantizers,
  withTrained,
} from './qat/index.ts'
export { type Override, parseOverride, type QuantPlan, type Target } from './quant/index.ts'
export { TARGETS } from './targets/index.ts'
export { type Diagnostic, FewbitError, formatDiagnostic, problem } from './util/index.ts'
