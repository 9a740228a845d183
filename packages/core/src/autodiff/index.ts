export {
  type DifferentiatedModel,
  type DifferentiateOptions,
  differentiate,
  pullBack,
  readyToDifferentiate,
} from './differentiate.ts'
