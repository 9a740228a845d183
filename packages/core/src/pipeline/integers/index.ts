export {
  type IntegerReport,
  type LayerAgreement,
  type OutputAgreement,
  type RunIntegersOptions,
  runIntegers,
  type SampleCodes,
} from './run-integers.ts'
